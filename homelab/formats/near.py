"""What somebody meant who typed a name that is not there. Pure."""

from collections.abc import Iterable
from difflib import get_close_matches


def known_names(typed: Iterable[str], known: Iterable[str], noun: str) -> str:
    """`Did you mean cp1? Known VMs: cp1, cp2`; without the question where nothing is near."""
    names = list(known)
    return f"{did_you_mean(typed, names)}Known {noun}: {', '.join(names) or 'none'}"


def did_you_mean(typed: Iterable[str], known: Iterable[str]) -> str:
    """`Did you mean cp1? `, for as many of the typed words as have a name that is near; empty where none has."""
    spelled = {name.lower(): name for name in known}
    near = [spelled[close] for word in typed for close in get_close_matches(word.lower(), spelled, 1)]
    return f"Did you mean {', '.join(dict.fromkeys(near))}? " if near else ""
