"""Releases of Kubernetes, and which may follow which. Pure.

Source: kubernetes.io/releases/version-skew-policy and kubeadm's own rule: one minor release at a time, never back.
"""

import re
from dataclasses import dataclass
from typing import Self

FORM = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, order=True)
class Release:
    """1.36.3: a patch release of a minor release."""

    major: int
    minor: int
    patch: int

    @classmethod
    def read(cls, text: str) -> Self | None:
        """From `1.36.3` or `v1.36.3`; None for anything else."""
        found = FORM.fullmatch(text)
        return cls(*map(int, found.groups())) if found else None

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def refusal(runs: Release, wanted: Release) -> str:
    """Why a cluster of one release cannot become one of the other; empty when it can."""
    here, next_minor = f"{runs.major}.{runs.minor}", f"{runs.major}.{runs.minor + 1}"
    if wanted < runs:
        return f"the cluster runs {runs}, and there is no way back to {wanted}"
    if wanted.major != runs.major or wanted.minor > runs.minor + 1:
        allowed = f"allowed are {here}.x and {next_minor}.x"
        return f"the cluster runs {runs}, and kubeadm goes one minor release at a time: {allowed}"
    return ""
