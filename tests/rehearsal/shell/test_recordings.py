"""Outputs of real hosts (recordings/): our parser reads every table, our layouts print the same rows byte for byte.

Each file's first line says what it is and where it comes from.
"""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from homelab.ports.esxi.shell import parse_table
from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell.call import Call
from homelab.rehearsal.shell.esxcli import localcli
from homelab.rehearsal.shell.layouts import Block, Blocks, Scalar, Table, Value, render
from homelab.rehearsal.shell.vimcmd import vim_cmd
from homelab.rehearsal.shell.vmkfstools import vmkfstools
from homelab.rehearsal.state.mounts import NasMount
from homelab.rehearsal.state.parts import Nic, Vib
from tests.rehearsal.shell.test_shell import make_host

FOLDER = Path(__file__).parent / "recordings"
NAMES = sorted(path.stem for path in FOLDER.glob("*.txt"))


def recording(name: str) -> str:
    return (FOLDER / f"{name}.txt").read_text().partition("\n")[2]


TABLES = [name for name in NAMES if "\n---" in recording(name)]
BLOCKS = [name for name in NAMES if name not in TABLES and ": " in recording(name)]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return make_host(tmp_path)


def ask(host: Host, line: str, program: Callable[[Call], object] = localcli) -> str:
    answer = program(Call(host, ("program", *line.split())))
    assert (answer.err, answer.status) == ("", 0)  # type: ignore[attr-defined]
    return str(answer.out)  # type: ignore[attr-defined]


def typed(text: str) -> Scalar:
    """A recorded cell as the value that it was printed from."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isdigit() else text


def columns(name: str) -> tuple[str, ...]:
    """The headings, cut by hand: two spaces part them, and none has two inside."""
    return tuple(word.strip() for word in recording(name).splitlines()[0].split("  ") if word.strip())


# Our parser


@pytest.mark.parametrize("name", TABLES)
def test_the_parser_reads_every_table(name: str) -> None:
    rows = parse_table(recording(name))
    assert len(rows) == len(recording(name).splitlines()) - 2
    assert all(tuple(row) == columns(name) for row in rows)
    for row, line in zip(rows, recording(name).splitlines()[2:], strict=True):
        assert "".join(row.values()).replace(" ", "") == line.replace(" ", "")


def test_the_parser_cuts_by_the_dashes_and_not_by_spaces() -> None:
    nics = parse_table(recording("nic-list-6.5"))
    assert (nics[1]["PCI Device"], nics[1]["MTU"]) == ("Pseudo", "9000")
    assert nics[0]["Description"] == "Intel Corporation Ethernet Connection (2) I219-V"
    assert parse_table(recording("nic-list-8.0"))[1]["Description"].endswith("I226-V")
    assert parse_table(recording("nfs41-list-6.5"))[0]["Accessible"] == "false"
    assert [row["Volume Name"] for row in parse_table(recording("filesystem-list"))] == ["VMs", "", "", "", ""]


# Our layouts, from the recorded rows


@pytest.mark.parametrize("name", TABLES)
def test_the_layout_prints_every_table_byte_for_byte(name: str) -> None:
    kernel = name == "kernel-list"
    values = [tuple(row.values()) for row in parse_table(recording(name))]
    # A kernel setting's values are strings to esxcli, and stand left although they look like booleans.
    rows = [tuple(value if kernel else typed(value) for value in row) for row in values]
    last_full = len(recording(name).splitlines()[1].split("  ")[-1]) > len(columns(name)[-1])
    if name == "vib-list-6.7":
        # Stands for rows that the recording leaves out: the widest cells were theirs.
        rows.append(("x" * 29, "0" * 36, "", "", ""))
    short = not last_full and any(len(str(row[-1])) > len(columns(name)[-1]) for row in rows)
    printed = render(Table("Row", columns(name), tuple(rows), last_full=not short)).splitlines()
    assert printed[: len(values) + 2] == recording(name).splitlines()


@pytest.mark.parametrize("name", [name for name in BLOCKS if name not in ("license-7.0", "vmkfstools-clone")])
def test_the_layout_prints_every_block_byte_for_byte(name: str) -> None:
    lines = recording(name).splitlines()
    title = lines.pop(0) if not lines[0].startswith(" ") and ": " not in lines[0] else None
    fields: dict[str, Value] = {}
    inner: dict[str, Scalar] = {}
    for line in lines:
        key, _, value = line.strip().partition(":")
        if line.startswith("     "):
            inner[key] = value.strip()
        elif key == "Driver Info":
            fields[key] = inner
        else:
            fields[key] = value.strip()
    printed = render(Blocks("Row", (Block(fields, title),)))
    lost = not recording(name).startswith(" ") and title is None
    assert (printed.replace("\n   ", "\n").lstrip() if lost else printed) == recording(name)


# Our commands, from a host's state that is the recorded one


def nic(name: str, pci: str, driver: str, mac: str, description: str, speed: int, *, up: bool = True) -> Nic:
    return Nic(name, pci, "8086:15b8", driver, mac, description, link_up=up, speed_mb=speed)


def test_nic_list_with_a_link_down(host: Host) -> None:
    host.version, text = "8.0.2", "Intel(R) Ethernet Controller X540-AT2"
    host.nics = [
        nic("vmnic0", "0000:03:00.0", "ixgben", "a4:bf:01:4e:37:14", text, 10000),
        nic("vmnic1", "0000:03:00.1", "ixgben", "a4:bf:01:4e:37:15", text, 10000, up=False),
    ]
    assert ask(host, "network nic list") == recording("nic-list-link-down")


def test_nic_get(host: Host) -> None:
    host.vibs = (Vib("ne1000", "0.8.0-16vmw", "VMW", "VMwareCertified", date(2017, 1, 1)),)
    host.nics = [nic("vmnic0", "0000:00:1f.6", "ne1000", "70:5a:0f:52:c3:e5", "Intel", 1000)]
    assert ask(host, "network nic get -n vmnic0") == recording("nic-get-6.5")


def test_nfs41_list_with_its_server_away(host: Host) -> None:
    nas = host.datastores.volumes.nas
    nas.addresses.add("10.1.0.7")
    nas.exports.add("/backups/isos")
    mount = host.datastores.mount_nas("10.1.0.7", "/backups/isos", "isos", kind="NFS41")
    assert isinstance(mount, NasMount)
    assert parse_table(ask(host, "storage nfs41 list"))[0]["Hardware Acceleration"] == "Not Supported"
    nas.away = True
    assert ask(host, "storage nfs41 list") == recording("nfs41-list-6.5")
    assert ask(host, "storage nfs list") == ""


def test_syslog_config(host: Host) -> None:
    mount = host.datastores.mount_nas("192.168.1.22", "/volume1/vmnfsbackup", "nfsbackup")
    (mount.volume.path / "logs").mkdir()
    host.advanced["ScratchConfig.CurrentScratchLocation"] = f"/vmfs/volumes/{mount.volume.directory}/logs"
    ask(host, "system syslog config set --loghost=udp://192.168.1.106:514")
    lines = ask(host, "system syslog config get").splitlines()
    assert [line.removeprefix("   ") for line in lines] == recording("syslog-config-6.5").splitlines()


def test_advanced_settings(host: Host) -> None:
    assert ask(host, "system settings advanced set -o /Net/UseHwTSO -i 0") == ""
    assert ask(host, "system settings advanced list -o /Net/UseHwTSO") == recording("advanced-6.0")


def test_firewall_rulesets(host: Host) -> None:
    host.rulesets["gdbserver"] = False
    assert ask(host, "network firewall ruleset set -e true -r gdbserver") == ""
    assert ask(host, "network firewall ruleset list -r gdbserver") == recording("firewall-6.0")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("hardware cpu list", "cpu-6.5"),
        ("hardware memory get", "memory-6.5"),
        ("hardware platform get", "platform-5.5"),
        ("hardware pci list", "pci-list"),
    ],
)
def test_hardware_has_the_recorded_fields_in_their_order(host: Host, line: str, name: str) -> None:
    def fields(text: str) -> list[str]:
        return [line.partition(":")[0] for line in text.splitlines() if line.startswith("   ")]

    printed = ask(host, line)
    assert fields(printed.split("\n\n")[-1]) == fields(recording(name))
    if name == "cpu-6.5":
        assert printed.split("\n\n")[-1].startswith("CPU:7\n   Id: 7\n")


def test_the_interface_has_the_recorded_columns(host: Host) -> None:
    host.settings.network.address, host.settings.network.gateway = "192.168.10.67", "192.168.10.1"
    (row,) = parse_table(ask(host, "network ip interface ipv4 get"))
    recorded = parse_table(recording("ipv4-get"))[0]
    assert row == {**recorded, "Gateway": "192.168.10.1"}


def test_filesystems_have_the_recorded_columns(host: Host) -> None:
    mount = host.datastores.mount_nas("192.168.1.22", "/volume1/vmnfsbackup", "nfsbackup")
    (row,) = parse_table(ask(host, "storage filesystem list"))
    assert tuple(row) == columns("filesystem-list")
    assert row["Mount Point"] == f"/vmfs/volumes/{mount.volume.directory}"
    assert (row["Volume Name"], row["Mounted"], row["Type"]) == ("nfsbackup", "true", "NFS")
    heading = ask(host, "--formatter=csv storage filesystem list").splitlines()[0]
    assert heading == "Free,MountPoint,Mounted,Size,Type,UUID,VolumeName,"


def test_the_free_licence(host: Host) -> None:
    host.licence, host.version = "free", "7.0.3"
    assert ask(host, "vimsvc/license --show", vim_cmd) == recording("license-7.0")
    host.licence = "evaluation"
    assert "   name: Evaluation Mode\n" in ask(host, "vimsvc/license --show", vim_cmd)


def test_no_vms(host: Host) -> None:
    assert ask(host, "vmsvc/getallvms", vim_cmd) == recording("getallvms-empty")


def test_a_clone(host: Host) -> None:
    mount = host.datastores.mount_nas("192.168.1.22", "/volume1/vmnfsbackup", "nfsbackup")
    folder = "/vmfs/volumes/nfsbackup"
    assert ask(host, f"-c 1M {folder}/SOURCE.vmdk", vmkfstools) == "Create: 100% done.\n"
    told = ask(host, f"-i {folder}/SOURCE.vmdk {folder}/TARGET.vmdk", vmkfstools)
    assert told.replace(f"{folder}/", "") == recording("vmkfstools-clone")
    told = ask(host, f"-i {folder}/SOURCE.vmdk /vmfs/volumes/{mount.volume.directory}/thin.vmdk -d thin", vmkfstools)
    assert told.startswith("Destination disk format: VMFS thin-provisioned\n")
    ask(host, f"-X 2M {folder}/TARGET.vmdk", vmkfstools)
    assert (mount.volume.path / "TARGET-flat.vmdk").stat().st_size == 2 << 20
    assert ask(host, f"-U {folder}/TARGET.vmdk", vmkfstools) == ""
    assert sorted(path.name for path in mount.volume.path.iterdir()) == [
        "SOURCE-flat.vmdk",
        "SOURCE.vmdk",
        "thin-flat.vmdk",
        "thin.vmdk",
    ]
