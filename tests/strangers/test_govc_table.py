"""Every command of current govc that a standalone host has, against a simulated one: docs/reference/govc.md."""

import re
import shlex
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from homelab.rehearsal.host.licences import KEYS
from tests.helpers import tools
from tests.helpers.checkout import ROOT
from tests.helpers.vmdk_writer import stream_vmdk
from tests.strangers.govc_scenario import LINES, LOCAL, asks_tools, standalone
from tests.strangers.test_govc import NAS, GovcHost

PAGE = ROOT / "docs" / "reference" / "govc.md"
# Of the commands that a standalone host supports, in percent.
LEAST = 80
CRASHES = ("panic:", "goroutine ", "nil pointer", "EOF", "syntax error", "xml:", "unexpected end")
pytestmark = [pytest.mark.thorough, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Outcome:
    """What became of one line of the scenario."""

    command: str
    line: str
    verdict: str
    words: str = ""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Outcome]]:
    host = GovcHost(tools.govc(), tmp_path_factory.mktemp("govc"))
    furnish(host)
    yield [carry_out(host, line) for line in LINES.strip().splitlines()]
    host.face.stop()
    host.host.power.stop()


def test_no_command_crashes_or_is_dropped(outcomes: list[Outcome]) -> None:
    assert [found for found in outcomes if found.verdict == "crashes the client"] == []
    assert [found for found in outcomes if found.verdict == "is accepted and dropped"] == []


def test_what_asks_the_tools_is_refused_in_words(outcomes: list[Outcome]) -> None:
    answers = [found for found in outcomes if asks_tools(found.command)]
    assert all(found.verdict == "is refused" and "not part of the rehearsal" in found.words for found in answers)


def test_every_command_of_a_standalone_host_is_tried(outcomes: list[Outcome]) -> None:
    names = {name for name in commands() if standalone(name) and name not in LOCAL}
    assert names == {found.command for found in outcomes}


def test_most_commands_work(outcomes: list[Outcome]) -> None:
    verdicts = {name: found for name, found in of_commands(outcomes).items() if not asks_tools(name)}
    refused = sorted(name for name, found in verdicts.items() if found.verdict != "works")
    assert 100 * (len(verdicts) - len(refused)) >= LEAST * len(verdicts), refused


def test_the_page_tells_how_it_is(outcomes: list[Outcome]) -> None:
    before, now = PAGE.read_text() if PAGE.exists() else "", page(outcomes)
    PAGE.write_text(now)
    assert before == now, f"{PAGE.name} told otherwise and was written anew: look at the difference and keep it"


def furnish(govc: GovcHost) -> None:
    """What the scenario finds there: a datastore, VMs, files on both sides, somebody else's session."""
    govc.host.datastores.volumes.nas.exports.add("/volume2/more")
    govc.mount()
    for name in ("alpha", "beta", "gamma", "delta"):
        govc.create(name)
    govc.run("vm.power", "-on", "beta")
    govc.host.datastores.path_of("[NAS] files").mkdir()
    govc.host.datastores.path_of("[NAS] files/seed.iso").write_bytes(b"iso")
    free = govc.host.datastores.path_of("[NAS] files/free.vmdk")
    govc.host.datastores.volumes.create_disk(free, 4 << 20, label="[NAS] files/free.vmdk")
    (govc.work / "up.txt").write_text("hello\n")
    (govc.work / "new.pem").write_bytes(another_certificate(*govc.face.pair))
    disk = stream_vmdk(b"first".ljust(1 << 20, b"\0"))
    for name in ("golden.vmdk", "machine.vmdk"):
        (govc.work / name).write_bytes(disk)
    (govc.work / "machine.ovf").write_text(OVF.format(size=len(disk), name="machine"))
    inside = govc.work / "inside.ovf"
    inside.write_text(OVF.format(size=len(disk), name="packed"))
    with tarfile.open(govc.work / "machine.ova", "w") as archive:
        archive.add(inside, "packed.ovf")
        archive.add(govc.work / "machine.vmdk", "machine.vmdk")
    govc.other = govc.face.sessions.open("root", "127.0.0.1", "another client")


def another_certificate(now: bytes, key: bytes) -> bytes:
    """A certificate of the same key that says something else."""
    old, private = x509.load_pem_x509_certificate(now), load_pem_private_key(key, None)
    made = x509.CertificateBuilder(old.subject, old.subject, private.public_key(), x509.random_serial_number())
    made = made.not_valid_before(old.not_valid_before_utc).not_valid_after(old.not_valid_after_utc)
    return made.sign(private, hashes.SHA256()).public_bytes(Encoding.PEM)


def waiting_task(govc: GovcHost) -> str:
    """The id of a task that waits: maintenance mode, while a VM runs."""
    subprocess.Popen(govc.command("host.maintenance.enter", "brix1"), env=govc.environment(), cwd=govc.work)
    deadline, pause = time.monotonic() + 20, threading.Event()
    while time.monotonic() < deadline:
        for key, task in list(govc.face.tasks.all.items()):
            if task.cancelable and not task.completed:
                return key
        pause.wait(0.02)
    raise AssertionError("no task waits")


def carry_out(govc: GovcHost, line: str) -> Outcome:
    """Run a line of the scenario, and judge it."""
    kind, words = line[0], [placed(govc, word) for word in shlex.split(line[2:])]
    before = state(govc)
    try:
        done = subprocess.run(
            govc.command(*words),
            env=govc.environment() | {"GOVC_DATASTORE": "NAS"},
            cwd=govc.work,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(words[0], line[2:], "crashes the client", "no answer in 60 s")
    # A reboot is answered before it happens.
    deadline = time.monotonic() + 2
    while kind == "!" and not done.returncode and state(govc) == before and time.monotonic() < deadline:
        threading.Event().wait(0.05)
    says = done.stderr.decode(errors="replace")
    return Outcome(words[0], line[2:], verdict(kind, done.returncode, says, state(govc) != before), last_line(says))


def verdict(kind: str, status: int, says: str, changed: bool) -> str:
    """What a command's end means."""
    if any(mark in says for mark in CRASHES):
        return "crashes the client"
    if status:
        return "is refused"
    return "is accepted and dropped" if kind == "!" and not changed else "works"


def placed(govc: GovcHost, word: str) -> str:
    """A word of the scenario, with what only this host knows in its place."""
    known = {
        "FCD": next(iter(govc.host.settings.first_class_disks), ""),
        "DISK": next(iter(govc.host.disks.values())).device_path,
        "KEY": KEYS["paid"],
        "NASHOST": NAS,
        "OTHER": govc.other.key,
    }
    return waiting_task(govc) if word == "TASK" else known.get(word, word)


def state(govc: GovcHost) -> str:
    """Everything that a command can change, as a text to compare."""
    host = govc.host
    parts = [
        *(
            host.settings,
            host.registered_vms,
            host.network.port_groups,
            list(host.services),
            host.rulesets,
            host.advanced,
        ),
        *(host.kernel_settings, host.licence, sorted(host.datastores.mounts), host.disks, host.in_maintenance),
        *(host.drivers.modules, host.authorized_keys, host.power.boots, host.edited_files, govc.face.certificate),
        len(govc.face.sessions.live()),
    ]
    root = host.datastores.volumes.root
    files = sorted((str(path), path.stat().st_size, path.stat().st_blocks) for path in root.rglob("*"))
    return repr(parts) + repr(files)


def last_line(says: str) -> str:
    """The sentence of a refusal."""
    lines = [line for line in says.strip().splitlines() if line.strip()]
    return re.sub(r"\s+", " ", lines[-1].removeprefix(f"{tools.govc()}: ")) if lines else ""


def commands() -> list[str]:
    """Every command that govc has."""
    usage = subprocess.run([tools.govc(), "-h"], capture_output=True, text=True, timeout=30, check=False)
    listed = (usage.stdout + usage.stderr).partition("The available commands")[2]
    return sorted(set(re.findall(r"^  ([a-z][a-z.]*)$", listed, re.MULTILINE)))


def of_commands(outcomes: list[Outcome]) -> dict[str, Outcome]:
    """The worst outcome of each command."""
    found: dict[str, Outcome] = {}
    for outcome in outcomes:
        before = found.get(outcome.command)
        if before is None or before.verdict == "works":
            found[outcome.command] = outcome
    return dict(sorted(found.items()))


def page(outcomes: list[Outcome]) -> str:
    """The reference page."""
    verdicts = of_commands(outcomes)
    asked = {name: found for name, found in verdicts.items() if not asks_tools(name)}
    works = [name for name, found in asked.items() if found.verdict == "works"]
    others = [found for found in asked.values() if found.verdict != "works"]
    rows = "".join(f"| `{found.line}` | {found.words or found.verdict} |\n" for found in others)
    return (
        "# govc and the simulated host\n\n"
        "What current [govc](https://github.com/vmware/govmomi) gets of one simulated host; "
        "`tests/strangers/test_govc_table.py` runs\nevery command and writes this page. "
        "A command works here when it ends well and,\nwhere it is to change something, the host is another afterwards. "
        "None may crash the client.\n\n"
        f"Of {len(asked)} commands that a standalone host supports {len(works)} work.\n\n"
        f"## Work\n{wrapped(works)}\n\n## Do not work\n| what was asked | the answer |\n|---|---|\n{rows}\n"
        "## Ask the VMware Tools in a guest\nThe lab's guests have none, so these are refused.\n\n"
        f"{wrapped([name for name in verdicts if asks_tools(name)])}\n\n"
        "## Are beyond a standalone host\nThey need a vCenter, vSAN or newer virtual hardware.\n\n"
        f"{wrapped([name for name in commands() if not standalone(name)])}\n"
    )


def wrapped(names: list[str]) -> str:
    """Names in lines of a page's width."""
    lines, line = [], ""
    for name in names:
        if len(line) + len(name) > 145:
            lines.append(line)
            line = ""
        line += f"{', ' if line else ''}`{name}`"
    return ",\n".join([*lines, line])


OVF = """<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">
  <References><File ovf:id="file1" ovf:href="machine.vmdk" ovf:size="{size}"/></References>
  <DiskSection><Info/><Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="1048576"
    ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
  <NetworkSection><Info/><Network ovf:name="VM Network"/></NetworkSection>
  <VirtualSystem ovf:id="{name}"><Info/><Name>{name}</Name>
    <OperatingSystemSection ovf:id="101"><Info/></OperatingSystemSection>
    <VirtualHardwareSection><Info/>
      <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
      <Item><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>64</rasd:VirtualQuantity></Item>
      <Item><rasd:Address>0</rasd:Address><rasd:ElementName>IDE 0</rasd:ElementName>
        <rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>5</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:ElementName>disk</rasd:ElementName>
        <rasd:HostResource>ovf:/disk/disk1</rasd:HostResource><rasd:InstanceID>4</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>1</rasd:AddressOnParent><rasd:ElementName>CD</rasd:ElementName>
        <rasd:InstanceID>5</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>15</rasd:ResourceType></Item>
      <Item><rasd:Connection>VM Network</rasd:Connection><rasd:InstanceID>6</rasd:InstanceID>
        <rasd:ResourceType>10</rasd:ResourceType></Item>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"""
