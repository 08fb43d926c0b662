"""Lines that nobody would type: each gets an exit status, none a traceback, and the server lives on."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell.esxcli import functions
from homelab.rehearsal.shell.server import SOFTWARE_ERROR, ShellFace
from homelab.rehearsal.state.vm import Vm
from tests.rehearsal.shell.test_shell import ADDRESS, HOST_KEY, ask, connect, make_host

SEED = 20
CHUNK = 200
# Whatever waits for a person (a terminal's end, VMs that run) or takes the server away is left out.
LINES = (
    "esxcli system module set --enabled=false --module=ne1000",
    "esxcli --formatter=csv storage filesystem list | grep -v nas",
    "esxcli storage nfs add -H 192.168.1.22 -s /volume1/vmnfsbackup -v nas -r && esxcli storage nfs list",
    "esxcli storage nfs remove -v nas || echo \"it was not there\"",
    "esxcli system settings advanced set -o /Net/UseHwTSO -i 1; esxcli system settings advanced list",
    "esxcli system syslog config set --loghost='tcp://10.0.0.6:5004' --logdir-unique true",
    "esxcli network firewall ruleset set --ruleset-id=syslog --enabled yes",
    "vim-cmd vmsvc/getallvms 2>/dev/null | grep -ci web",
    "vim-cmd solo/registervm /vmfs/volumes/nas/web/web.vmx",
    "vim-cmd vmsvc/power.getstate 1 > /dev/null 2>&1",
    "vmkfstools -c 1m -d thin /vmfs/volumes/nas/a.vmdk; vmkfstools -X 2m /vmfs/volumes/nas/a.vmdk",
    "vmkfstools -i /vmfs/volumes/nas/a.vmdk /vmfs/volumes/nas/b.vmdk; vmkfstools -U /vmfs/volumes/nas/b.vmdk",
    "grep -E 'ne1000|e1000e' /etc/vmware/*/*.map | grep -vn \"8086:15[0-9]\"",
    "ls -1a / /etc/vmware /vmfs/volumes/*; cat /etc/vmware/esx.conf /nosuch",
    "lspci -n; ethtool -i vmnic0; esxcfg-module -g ne1000; uname -a; df; vmware -lv",
    "/sbin/auto-backup.sh # keep it\nexit 3",
)  # fmt: skip
PIECES = "'\"\\|&;<>(){}[]*?$`#~!=-_/., \t\n\r\0\x1b\x7féß\u202e𝄞0123456789abcXYZ%:@^+"


def corpus() -> list[str]:
    commands = [name for name in functions() if name != "system_shutdown_reboot"]
    return [*LINES, *(f"localcli {name.replace('_', ' ')}" for name in commands)]


def mutated(dice: random.Random, lines: list[str]) -> str:
    line = dice.choice(lines)
    for _ in range(dice.randrange(1, 5)):
        at = dice.randrange(len(line) + 1)
        match dice.randrange(6):
            case 0:
                line = line[:at] + dice.choice(PIECES) + line[at:]
            case 1:
                line = line[:at] + line[at + dice.randrange(1, 8) :]
            case 2:
                line = line[:at] + dice.choice(lines)[dice.randrange(20) :]
            case 3:
                words = line.split(" ")
                dice.shuffle(words)
                line = " ".join(words)
            case 4:
                line = line[:at] + line[at : at + 4] * dice.randrange(2, 40) + line[at:]
            case _:
                line = (
                    line[:at]
                    + dice.choice((" --", " -", "=", " 99999999999999999999 ", " '' ", "-o", "/.."))
                    + line[at:]
                )
    return line


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = make_host(tmp_path)
    for part, away in ((host.power, "reboot"), (host.power, "cut"), (host.maintenance, "enter")):
        monkeypatch.setattr(part, away, lambda *_, **__: None)
    host.datastores.mount_nas("192.168.1.22", "/volume1/vmnfsbackup", "nas")
    host.vms.create(Vm(host.vms.next_moid(), "web", "nas", "[nas]"))
    return host


@pytest.fixture
def face(host: Host) -> Iterator[ShellFace]:
    face = ShellFace(host, ADDRESS, 0, HOST_KEY)
    face.start()
    yield face
    face.stop()


def fuzz(face: ShellFace, seed: int) -> None:
    dice, lines = random.Random(seed), corpus()
    with connect(face) as client:
        for _ in range(CHUNK):
            line = mutated(dice, lines)
            out, err, status = ask(client, line)
            assert 0 <= status <= 255 and status != SOFTWARE_ERROR, (line, out, err)
            assert "Traceback" not in out + err, line
    with connect(face) as client:
        assert ask(client, "vmware -v")[2] == 0


def test_200_lines(face: ShellFace) -> None:
    fuzz(face, SEED)


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(SEED + 1, SEED + 10))
def test_1800_more_lines(face: ShellFace, seed: int) -> None:
    fuzz(face, seed)


def test_a_very_long_line_and_one_of_bytes(face: ShellFace) -> None:
    with connect(face) as client:
        assert ask(client, "echo " + "x" * 200_000)[2] == 0
        assert ask(client, "echo " + "'x' " * 20_000)[2] == 0
        assert ask(client, "true;" * 20_000)[2] == 0
        _, out, _ = client.exec_command(b"echo \xff\xfe\x00")  # type: ignore[arg-type]
        assert out.channel.recv_exit_status() == 0
