"""Pinned certificates: what is trusted, and what a contact with a machine means for it. Pure.

A certificate is pinned for a name and for the address at which it was shown, so that a machine which gets a name, or
another one, or another address, is no stranger and no copy of itself. The file is JSON:
`{NAME: {"certificate": "SHA256:...", "since": RFC 3339, "addresses": ["ADDRESS:PORT", ...]}}`, the latest address
first. Files of earlier versions have no addresses; there NAME may itself be an address, then of port 443.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from ipaddress import AddressValueError, IPv4Address
from typing import Any

ADDRESSES_KEPT = 8


class BadPins(ValueError):
    """The text is not what we wrote; it says why, as the end of a sentence."""


class OtherCertificate(Exception):
    """Another certificate than the one pinned `as_name` was shown."""

    def __init__(self, pinned: str, as_name: str) -> None:
        super().__init__(pinned)
        self.pinned = pinned
        self.as_name = as_name


@dataclass(frozen=True)
class Pin:
    """One trusted certificate: its fingerprint, since when, and where it was shown, the latest place first."""

    certificate: str
    since: str
    addresses: tuple[str, ...] = ()

    @property
    def here(self) -> str | None:
        """Where it was shown last."""
        return self.addresses[0] if self.addresses else None

    def at(self, place: str) -> "Pin":
        """The same pin, shown at a place."""
        others = tuple(one for one in self.addresses if one != place)
        return replace(self, addresses=(place, *others)[:ADDRESSES_KEPT])


Pins = Mapping[str, Pin]


@dataclass(frozen=True)
class Met:
    """What a contact left behind: the pins as they are to be now, and a sentence where that is news."""

    pins: Pins
    sentence: str | None = None


def read(text: str) -> dict[str, Pin]:
    """The pins of a file. Raises BadPins: a file that is cut or damaged is never taken for an empty one."""
    try:
        rows = json.loads(text)
    except ValueError as error:
        raise BadPins(f"is not JSON ({error})") from None
    if not isinstance(rows, dict):
        raise BadPins("is no list of names and pins")
    return {name: _pin(name, row) for name, row in rows.items()}


def _pin(name: str, row: Any) -> Pin:
    known = row.get("addresses", [f"{name}:443"] if is_address(name) else []) if isinstance(row, dict) else None
    texts = [row.get("certificate"), row.get("since", "")] if isinstance(row, dict) else [None]
    if not isinstance(known, list) or not all(isinstance(text, str) for text in (*texts, *known)):
        raise BadPins(f"has no certificate for {name}")
    return Pin(row["certificate"], row.get("since", ""), tuple(known))


def write(pins: Pins) -> str:
    """The text of the file."""
    rows = {
        name: {"certificate": pin.certificate, "since": pin.since, "addresses": list(pin.addresses)}
        for name, pin in pins.items()
    }
    return json.dumps(rows, indent=2, sort_keys=True) + "\n"


def is_address(name: str) -> bool:
    """Whether a name is an IPv4 address: a host that no inventory knew has that for its name."""
    try:
        IPv4Address(name)
    except AddressValueError:
        return False
    return True


def meet(pins: Pins, name: str, place: str, seen: str, now: str) -> Met:
    """A machine that is called `name` showed the certificate `seen` at `place` (ADDRESS:PORT), at `now` (RFC 3339).

    Raises OtherCertificate when one is pinned for its name or its place, and it is not this one.
    """
    own = pins.get(name)
    if own and own.certificate == seen:
        return _known(pins, name, place)
    at_place = [other for other, pin in sorted(pins.items()) if pin.here == place]
    there = sorted(at_place, key=lambda other: pins[other].certificate != seen)
    # A name whose own machine is known to be elsewhere may be given to another one that is known, too.
    if there and pins[there[0]].certificate == seen and (own is None or _is_elsewhere(pins, own, place)):
        return _called(pins, there[0], name, place)
    if own or there:
        held_as = name if own else there[0]
        raise OtherCertificate(pins[held_as].certificate, held_as)
    others = sorted(other for other, pin in pins.items() if pin.certificate == seen)
    fresh = {**pins, name: Pin(seen, now, (place,))}
    if others:
        return Met(fresh, f"{name} ({place}) shows the certificate that is pinned for {', '.join(others)}: {seen}")
    return Met(fresh, f"{name} ({place}) is met for the first time; its certificate is trusted now: {seen}")


def _is_elsewhere(pins: Pins, own: Pin, place: str) -> bool:
    return own.here is not None and own.here != place and _bare(own.here) not in pins


def _bare(place: str) -> str:
    return place.rpartition(":")[0]


def _known(pins: Pins, name: str, place: str) -> Met:
    """A pinned machine, perhaps at a new address; what was pinned for that bare address is the same machine."""
    changed = {**pins, name: pins[name].at(place)}
    bare = [
        other
        for other, pin in pins.items()
        if other != name and is_address(other) and pin.here == place and pin.certificate == pins[name].certificate
    ]
    for other in bare:
        del changed[other]
    gone = f"what was pinned for {', '.join(bare)} is {name}; it is kept under that name alone" if bare else None
    return Met(pins if changed == pins else changed, gone)


def _called(pins: Pins, before: str, name: str, place: str) -> Met:
    """The machine of a place has another name now. A bare address is no new name."""
    if is_address(name) and not is_address(before):
        return Met(pins)
    changed = {other: pin for other, pin in pins.items() if other != before}
    displaced = changed.get(name)
    if displaced and displaced.here:
        # Names were exchanged: the other machine is met again at its own address.
        changed[_bare(displaced.here)] = displaced
    changed[name] = pins[before].at(place)
    return Met(changed, f"{place} was met as {before}; its certificate is trusted under the name {name} now")


def named(pins: Pins, name: str, place: str | None) -> tuple[str, ...]:
    """The names under which a machine is pinned: its own, and whatever was met last at its place."""
    return tuple(one for one, pin in sorted(pins.items()) if one == name or (place and pin.here == place))


def ever_at(pins: Pins, address: str) -> tuple[str, ...]:
    """The names under which a machine at this address was ever pinned, at whatever port."""
    return tuple(
        name
        for name, pin in sorted(pins.items())
        if name == address or any(_bare(place) == address for place in pin.addresses)
    )


def doubles(pins: Pins, name: str) -> dict[str, str | None]:
    """Other pins with the certificate of `name` that were never shown at one of its addresses: name -> last place.

    They are copies of one boot medium, or the same machine before it got another name and address.
    """
    own = pins.get(name)
    if own is None:
        return {}
    return {
        other: pin.here
        for other, pin in sorted(pins.items())
        if other != name and pin.certificate == own.certificate and not set(pin.addresses) & set(own.addresses)
    }


def without(pins: Pins, names: Collection[str]) -> dict[str, Pin]:
    """The pins without these."""
    return {name: pin for name, pin in pins.items() if name not in names}
