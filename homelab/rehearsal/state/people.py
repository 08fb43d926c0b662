"""Accounts, roles and permissions of a host: plain state."""

from dataclasses import dataclass


@dataclass
class Person:
    """An account beside root."""

    password: str
    description: str = ""


@dataclass
class Role:
    """A role that somebody made."""

    name: str
    privileges: list[str]


@dataclass(frozen=True)
class Permission:
    """What an account may do on an object of the tree, and on all below it when it `propagates`."""

    kind: str
    moid: str
    principal: str
    role: int
    propagates: bool = True
