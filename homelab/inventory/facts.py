"""What is known of all hosts together, for the rules that hold across them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

VMS = ("control_plane", "load_balancers", "workers")


@dataclass(frozen=True)
class HostFacts:
    """A host with the plain values of its variables; those that could not be had are left out."""

    name: str
    group: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """All hosts of our groups, the values of the whole lab, and `where`: (host or None, variable) to FILE:LINE.

    A host's own line is asked for with the variable "".
    """

    hosts: Sequence[HostFacts]
    lab: Mapping[str, Any]
    where: Callable[[str | None, str], str]

    def of(self, *groups: str) -> list[HostFacts]:
        """The hosts of these groups."""
        return [host for host in self.hosts if host.group in groups]
