"""What commands say of files, sticks and a simulated lab."""

from typing import Literal

from pydantic import Field, RootModel

from homelab.output.shapes.parts import Name, Sentence, Shape


class Trust(Shape):
    """What `trust HOST` prints."""

    host: str
    certificate: str
    host_keys: list[str]
    pinned_as: list[str]


class Kubeconfig(Shape):
    """What `kubernetes kubeconfig` prints; `backup` is null where nothing was there or nothing changed."""

    file: str
    changed: bool
    backup: str | None
    context: str
    current_context: str | None
    server: str


class Backup(Shape):
    """What `kubernetes backup` prints; `from` is the control plane, `revision` etcd's."""

    file: str
    bytes: int
    origin: Name = Field(alias="from")
    revision: int


class Bundle(Shape):
    """What `kubernetes bundle` prints; `made` is false when it was there."""

    bundle: str
    kubernetes_version: str
    bytes: int
    made: bool


class NewInventory(Shape):
    """What `init` prints."""

    inventory: str
    files: list[str]
    next: str
    doubts: list[Sentence]


class StickBuilt(Shape):
    """What `usb build` prints."""

    host: Name
    image: str
    bytes: int
    version: str
    driver_fix: bool


class StickVerified(Shape):
    """What `usb verify` prints."""

    ok: bool
    differences: list[Sentence]
    litter: list[str]


class Finding(Shape):
    """One finding in a kickstart file."""

    line: int
    level: str
    text: Sentence


class KickstartChecked(Shape):
    """What `usb lint` prints."""

    ok: bool
    findings: list[Finding]


class StickWritten(Shape):
    """What `usb write HOST DEVICE` prints."""

    host: Name
    device: str
    bytes: int
    verified: bool
    writing_mb_s: float
    reading_mb_s: float


class Device(Shape):
    """A stick; `refused` is why it would not be written to."""

    name: str
    path: str
    model: str
    serial: str
    size: int
    removable: bool
    refused: Sentence | None
    holds: list[str] | None
    ours: str | None


class Devices(Shape):
    """What `usb write HOST` prints, without a device."""

    devices: list[Device]


class StickMended(Shape):
    """What `driver-fix --stick` prints; `bank` is the boot bank's partition."""

    host: Name
    stick: str
    bank: int
    changed: bool
    preferVmklinux: bool


class RehearsedHost(Shape):
    """How a simulated host is reached."""

    name: Name
    api: str
    ssh: str
    user: str
    password_file: str


class RehearsalReady(Shape):
    """What `rehearsal serve` prints once all is there."""

    event: Literal["ready"]
    pid: int
    inventory: list[str]
    hosts: list[RehearsedHost]


class PageReady(Shape):
    """What `status --serve` prints once the page is there."""

    event: Literal["ready"]
    url: str


class KnownFault(Shape):
    """A fault that can be ordered."""

    name: str
    sentence: Sentence
    aims: list[str]


class OrderedFault(Shape):
    """A fault that was ordered."""

    fault: str
    targets: list[str]
    begun: bool
    state: Sentence


class Faults(Shape):
    """What `rehearsal fault` prints; with --list the faults that there are."""

    faults: list[KnownFault] | list[OrderedFault]


class Versions(RootModel[dict[str, str]]):
    """What `--version -v` prints: a name and its version each."""
