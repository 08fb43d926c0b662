"""The stand-in for Kubernetes says in its version what it is: v1.X.Y+homelab.standin. Pure."""

BUILD = "homelab.standin"


def is_standin(version: str) -> bool:
    """Whether a version, as `/version` or a node tells it, is a stand-in's: it runs no containers."""
    return version.endswith(f"+{BUILD}")
