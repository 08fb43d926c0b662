"""What the tests of real guests do inside namespaces of their own: `python guest_bodies.py BODY WORK CACHE`."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from homelab.errors import HomelabError
from homelab.formats.guest.cloud_init import first_boot, seed
from homelab.formats.guest.guestinfo import guestinfo
from homelab.formats.guest.seed_iso import seed_iso
from homelab.formats.trust.ssh_key import new_key
from homelab.lab import Api, ControlPlane, Image, Kubernetes, Lab
from homelab.lab import Guests as GuestOptions
from homelab.rehearsal.faults.guests import GuestHarm
from homelab.rehearsal.guests.guests import Guests
from homelab.rehearsal.guests.network import Network
from homelab.rehearsal.guests.roots import root_id
from homelab.rehearsal.state.machines import GuestSpec
from homelab.rehearsal.storage.deltas import layers_of
from homelab.rehearsal.storage.disk_files import writes_of
from homelab.rehearsal.storage.frozen_writes import commit_writes, freeze_writes
from homelab.rehearsal.storage.volumes import Volumes

NETWORK, GATEWAY = IPv4Network("192.0.2.0/24"), IPv4Address("192.0.2.1")
GROUPS = "/sys/fs/cgroup"
MAC = "00:50:56:00:00:2a"


def until(condition: Callable[[], bool], seconds: float = 40) -> None:
    """Poll a condition; AssertionError when it did not come true in time."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"{condition} did not come true"
        pause.wait(0.1)


class GuestLan:
    """A LAN and one guest `cp1` with the product's own seed, not yet on."""

    def __init__(self, work: Path, cache: Path) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700", "rehearsal", work], check=True)
        self.work = work
        self.network = Network(NETWORK, GATEWAY)
        self.network.start()
        self.guests = Guests(work, self.network, cache / "roots")
        self.vm = ControlPlane(name="cp1", address=IPv4Address("192.0.2.42"))
        login, host_key = new_key("login"), new_key("cp1")
        self.lab = Lab(
            name="lan",
            domain="lab.example",
            network=NETWORK,
            gateway=GATEWAY,
            nameservers=(GATEWAY,),
            api=Api(vip=IPv4Address("192.0.2.10")),
            image=Image(source="x", sha256="0" * 64),
            guests=GuestOptions(authorized_keys=(login.public,)),
            kubernetes=Kubernetes(version="1.36.3"),
        )
        self._write("id", login.private)
        self._write("known_hosts", f"{self.vm.address} {host_key.public}\n")
        iso = work / "seed.iso"
        boot = first_boot(self.lab, self.vm, MAC)
        self.seeded = seed(boot, host_key, "a")
        iso.write_bytes(seed_iso(self.seeded))
        self.spec = GuestSpec("cp1", work / "disk.d", root_id(), MAC, iso, 2, 2048)
        # The first process of the boot in which cloud-init came to its end; asking it each time takes half a second.
        self._settled: int | None = None

    def _write(self, name: str, text: str) -> None:
        (self.work / name).touch(mode=0o600)
        (self.work / name).write_text(text)

    def ssh(self, *words: str) -> subprocess.CompletedProcess[str]:
        options = ["BatchMode=yes", "ConnectTimeout=2", "StrictHostKeyChecking=yes", "LogLevel=ERROR"]
        options += [f"UserKnownHostsFile={self.work}/known_hosts", f"IdentityFile={self.work}/id"]
        command = ["ssh", "-F", "none", *(part for option in options for part in ("-o", option))]
        return subprocess.run(
            [*command, f"homelab@{self.vm.address}", *words],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    def answer(self, *words: str) -> str:
        """The guest's answer to a command that works, once it is up and cloud-init is through."""
        if self._settled is None or self._settled != self.guests.init_of("cp1"):
            until(lambda: self.ssh("cloud-init", "status", "--wait").returncode in (0, 1, 2) or not self.is_on())
            self._settled = self.guests.init_of("cp1")
        done = self.ssh(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr, self.console())
        return done.stdout.strip()

    def is_on(self) -> bool:
        return self.guests.is_running("cp1")

    def console(self) -> str:
        return (self.work / "guests/cp1/console.log").read_text(errors="replace")[-2000:]

    def assert_gone(self) -> None:
        assert not Path("/run/netns/cp1").exists()
        assert str(self.work / "guests") not in Path("/proc/self/mounts").read_text()
        links = subprocess.run(["ip", "-json", "link"], check=True, capture_output=True, text=True).stdout
        assert {link["ifname"] for link in json.loads(links)} == {"lo", "lab0"}
        assert not any((folder / "cp1").exists() for folder in self.guests._groups._folders)


def seed_applied(lan: GuestLan) -> None:
    lan.guests.power_on(lan.spec)
    assert lan.answer("hostname") == "cp1"
    assert lan.answer("hostname", "--fqdn") == "cp1.lab.example"
    assert lan.answer("cloud-init", "status", "--wait").endswith("status: done")
    assert lan.answer("sudo", "-n", "id", "-un") == "root"
    assert lan.answer("ls", "/etc/ssh/*_key").split() == ["/etc/ssh/ssh_host_ed25519_key"]
    assert lan.answer("ip", "-4", "route", "show", "default").startswith("default via 192.0.2.1 ")
    assert len(lan.answer("cat", "/sys/class/net/*/address").split()) == 2
    assert lan.answer("systemctl", "is-system-running") == "running"
    for unit in ("haproxy", "keepalived", "containerd"):
        assert lan.ssh("systemctl", "is-enabled", unit).stdout.strip() == "disabled"
    assert lan.answer("sudo", "sysctl", "-w", "net.ipv4.ip_forward=1", "net.ipv4.ip_nonlocal_bind=1")
    assert lan.answer("sudo", "nft", "list", "ruleset") == ""
    before = Path("/proc/sys/vm/swappiness").read_text()
    lan.answer("sudo", "sysctl", "-w", "vm.swappiness=7", "kernel.panic=10", "fs.inotify.max_user_instances=1024")
    assert lan.answer("sudo", "sysctl", "-n", "vm.swappiness") == "7"
    assert Path("/proc/sys/vm/swappiness").read_text() == before
    assert len(lan.answer("cat", "/proc/swaps").splitlines()) == 1
    lan.answer("sudo", "test", "-c", "/dev/kmsg")
    assert lan.ssh("sudo", "date", "--set", "@0").returncode != 0
    assert lan.answer("cat", "/proc/sys/kernel/hostname") == "cp1"
    lan.answer("sudo", "mkdir", f"{GROUPS}/pids/probe" if Path(GROUPS, "pids").exists() else f"{GROUPS}/probe")
    lan.guests.close()


def told_by_guestinfo(lan: GuestLan) -> None:
    """cloud-init's own datasource VMware reads the seed through vmware-rpctool, and does without it from then on."""
    told = guestinfo(lan.seeded)
    lan.guests.power_on(replace(lan.spec, seed=None, guestinfo=told))
    assert lan.answer("hostname", "--fqdn") == "cp1.lab.example"
    assert lan.answer("cloud-init", "status", "--wait").endswith("status: done")
    assert lan.answer("sudo", "cloud-init", "query", "platform") == "vmware"
    assert lan.answer("sudo", "cloud-init", "query", "subplatform") == "guestinfo (guestinfo.metadata)"
    assert lan.answer("ls", "/etc/ssh/*_key").split() == ["/etc/ssh/ssh_host_ed25519_key"]
    assert lan.answer("ip", "-4", "route", "show", "default").startswith("default via 192.0.2.1 ")
    assert lan.answer("systemctl", "is-system-running") == "running"
    ask = ("sudo", "vmware-rpctool", "'info-get guestinfo.userdata'")
    assert lan.answer(*ask) == told["guestinfo.userdata"]
    lan.guests.tell("cp1", {})
    gone = lan.ssh(*ask)
    assert (gone.returncode, gone.stdout, gone.stderr) == (1, "", "No value found")
    first = lan.answer("cat", "/proc/sys/kernel/random/boot_id")
    lan.guests.reboot("cp1")
    until(lambda: lan.ssh("cat", "/proc/sys/kernel/random/boot_id").stdout.strip() not in ("", first))
    assert lan.answer("hostname", "--fqdn") == "cp1.lab.example"
    lan.guests.close()


def power(lan: GuestLan) -> None:
    """Reboots, the plug, the button and a `poweroff` inside; the disk and what cloud-init did outlive them all."""
    lan.guests.power_on(lan.spec)
    first = lan.answer("cat", "/proc/sys/kernel/random/boot_id")
    lan.answer("sudo", "ip", "address", "add", "192.0.2.10/32", "dev", "lo")
    lan.answer("sudo", "touch", "/kept")
    lan.ssh("sudo", "systemctl", "reboot")
    until(lambda: lan.ssh("cat", "/proc/sys/kernel/random/boot_id").stdout.strip() not in ("", first))
    assert lan.is_on()
    assert lan.answer("ls", "/kept") == "/kept"
    assert "192.0.2.10" not in lan.answer("ip", "address")

    lan.guests.power_off("cp1")
    assert not lan.is_on()
    lan.assert_gone()

    without_seed = GuestSpec("cp1", lan.spec.disk, lan.spec.root_id, MAC, None, 2, 2048)
    lan.guests.power_on(without_seed)
    assert lan.answer("ls", "/kept") == "/kept"
    assert lan.answer("hostname") == "cp1"
    assert lan.ssh("sudo", "ls", "/var/lib/cloud/seed/nocloud").stdout == ""
    lan.guests.shut_down("cp1")
    until(lambda: not lan.is_on())
    lan.assert_gone()

    lan.guests.power_on(without_seed)
    lan.answer("true")
    lan.ssh("sudo", "poweroff")
    until(lambda: not lan.is_on())
    lan.assert_gone()

    lan.guests.power_on(without_seed)
    lan.guests.power_off("cp1")
    assert not lan.is_on()
    lan.assert_gone()
    lan.guests.close()
    assert not any(lan.spec.disk.glob("upper/run/*"))


def disk_full(lan: GuestLan) -> None:
    """One guest's disk is full, another's is not; afterwards neither is. Switching it off and on does not help."""
    harm = GuestHarm(lan.guests)
    lan.guests.power_on(lan.spec)
    lan.guests.power_on(GuestSpec("cp2", lan.work / "other.d", lan.spec.root_id, MAC[:-1] + "b", None, 2, 2048))
    write = ("sudo", "dd", "if=/dev/zero", "of=/big", "bs=1M", "count=8")
    lan.answer(*write)
    harm.full(["cp1"])
    done = lan.ssh(*write[:3], "of=/more", *write[4:])
    assert done.returncode != 0
    assert "No space left on device" in done.stderr, done.stderr
    until(lambda: lan.guests.init_of("cp2") is not None)
    Path(f"/proc/{lan.guests.init_of('cp2')}/root/big").write_bytes(bytes(8 << 20))
    lan.answer("sudo", "rm", "/big")
    time.sleep(0.5)
    assert lan.ssh(*write).returncode != 0

    lan.guests.power_off("cp1")
    lan.guests.power_on(lan.spec)
    until(lambda: lan.ssh("true").returncode == 0)
    assert "No space left on device" in lan.ssh(*write).stderr
    harm.end_full(["cp1"])
    assert lan.ssh(*write).returncode == 0
    lan.guests.close()


def linked(lan: GuestLan) -> None:
    """A child sees what its parent's guest wrote and removed, and leaves it as it was."""
    lan.guests.power_on(lan.spec)
    lan.answer("sudo", "touch", "/kept")
    lan.answer("sudo", "rm", "/etc/issue")
    lan.guests.power_off("cp1")
    upper = lan.spec.disk / "upper"
    child = GuestSpec("cp1", lan.work / "child.d", lan.spec.root_id, MAC, None, 2, 2048, (upper,))
    lan.guests.power_on(child)
    assert lan.answer("ls", "/kept") == "/kept"
    assert lan.ssh("ls", "/etc/issue").returncode != 0
    lan.answer("sudo", "rm", "/kept")
    lan.answer("sudo", "touch", "/own")
    lan.guests.close()
    assert (upper / "kept").exists()
    assert not (upper / "own").exists()
    assert (child.disk / "upper" / "own").exists()


def handled(lan: GuestLan) -> None:
    """What the API does to a guest that runs: its plug, sleep, and a restart that is asked for."""
    lan.guests.power_on(replace(lan.spec, plugged=False))
    until(lambda: lan.guests.init_of("cp1") is not None)
    assert lan.ssh("true").returncode != 0
    lan.guests.plug("cp1", connected=True)
    first = lan.answer("cat", "/proc/sys/kernel/random/boot_id")
    lan.guests.plug("cp1", connected=False)
    assert lan.ssh("true").returncode != 0
    lan.guests.plug("cp1", connected=True)
    until(lambda: lan.ssh("true").returncode == 0)

    lan.answer("sudo", "systemd-run", "--unit=tick", "sh", "-c", "'while :; do date +%s%N >/tick; sleep 0.05; done'")
    until(lambda: lan.ssh("ls", "/tick").returncode == 0)
    tick = Path(f"/proc/{lan.guests.init_of('cp1')}/root/tick")
    assert lan.guests.freeze("cp1", frozen=True)
    until(lambda: steady(tick))
    assert lan.is_on()
    assert lan.ssh("true").returncode != 0
    assert lan.guests.freeze("cp1", frozen=False)
    until(lambda: lan.ssh("true").returncode == 0)
    assert lan.answer("cat", "/proc/sys/kernel/random/boot_id") == first
    assert not steady(tick)

    lan.guests.reboot("cp1")
    until(lambda: lan.ssh("cat", "/proc/sys/kernel/random/boot_id").stdout.strip() not in ("", first))
    assert lan.guests.freeze("cp1", frozen=True)
    lan.guests.power_off("cp1")
    lan.assert_gone()
    lan.guests.close()


def steady(file: Path) -> bool:
    """Whether nobody writes to a file."""
    before = file.read_text()
    time.sleep(0.3)
    return file.read_text() == before


def snapshots(lan: GuestLan) -> None:
    """What a guest wrote comes back, whether it ran or not when its disk was frozen, and outlives the snapshot."""
    volumes = Volumes(lan.work / "volumes")
    base, late, again = (lan.work / f"{name}.vmdk" for name in ("a", "a-000001", "a-000002"))
    volumes.create_disk(base, 1 << 20, label="[x] a.vmdk")

    def on(path: Path) -> None:
        lan.guests.power_on(replace(lan.spec, disk=writes_of(path), layers=tuple(layers_of(path))))

    def has(*names: str) -> set[str]:
        lan.answer("true")
        return {name for name in names if lan.ssh("ls", f"/{name}").returncode == 0}

    on(base)
    lan.answer("sudo", "touch", "/early")
    volumes.create_child(late, base, label="[x] a-000001.vmdk", parent_label="[x] a.vmdk")
    freeze_writes(base, late)
    lan.answer("sudo", "touch", "/late")
    lan.answer("sudo", "rm", "/early")
    lan.guests.power_off("cp1")
    on(late)
    assert has("early", "late") == {"late"}
    lan.guests.power_off("cp1")

    volumes.create_child(again, base, label="[x] a-000002.vmdk", parent_label="[x] a.vmdk")
    on(again)
    assert has("early", "late") == {"early"}
    lan.answer("sudo", "touch", "/more")
    commit_writes(base, again, running=True)
    assert has("early", "more") == {"early", "more"}
    lan.answer("sudo", "touch", "/most")
    lan.guests.power_off("cp1")
    on(base)
    assert has("early", "late", "more", "most") == {"early", "more", "most"}
    lan.guests.close()


def no_root(lan: GuestLan) -> None:
    lan.guests.power_on(GuestSpec("cp1", lan.spec.disk, "nothing", MAC, None, 2, 2048))
    until(lambda: not lan.is_on())
    assert "does not start" in lan.console()
    lan.assert_gone()
    lan.guests.close()


def unified(lan: GuestLan) -> None:
    """The machine has control groups v2 and nothing else."""
    lan.guests.close()
    until(lambda: subprocess.run(["umount", "-l", "/sys/fs/cgroup"], capture_output=True, check=False).returncode != 0)
    subprocess.run(["mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"], check=True)
    lan.guests = Guests(lan.work, lan.network, lan.guests._roots)
    lan.guests.power_on(lan.spec)
    assert lan.answer("systemctl", "is-system-running") == "running"
    assert lan.answer("stat", "-fc", "%T", "/sys/fs/cgroup") == "cgroup2fs"
    lan.guests.power_off("cp1")
    lan.assert_gone()
    lan.guests.close()


def stay(lan: GuestLan) -> None:
    """Say `ready`, and stay until a signal comes."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    lan.guests.power_on(lan.spec)
    lan.answer("true")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.pause()


def addresses(work: Path) -> None:
    """Needs no root: the LAN of a rehearsal without guests."""
    network = Network(NETWORK, GATEWAY)
    network.start()
    host = IPv4Address("192.0.2.21")
    for _ in range(2):
        network.add_address(host)
        network.add_address(host)
        assert _routed_locally(host)
        network.remove_address(host)
        network.remove_address(host)
        assert not _routed_locally(host)
    assert _routed_locally(GATEWAY)
    out = subprocess.run(["ip", "route", "get", "203.0.113.1"], capture_output=True, check=False)
    assert out.returncode != 0
    try:
        network.start()
    except HomelabError as error:
        assert "lab0" in str(error) or "File exists" in str(error)
    else:
        raise AssertionError("a second bridge of the same name was made")


def _routed_locally(address: IPv4Address) -> bool:
    route = subprocess.run(["ip", "route", "get", str(address)], capture_output=True, text=True, check=False)
    return route.stdout.startswith("local ")


BODIES = {
    body.__name__: body
    for body in (seed_applied, told_by_guestinfo, power, disk_full, linked, handled, snapshots, no_root, unified, stay)
}

if __name__ == "__main__":
    name, work, cache = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if name == "addresses":
        addresses(work)
    else:
        BODIES[name](GuestLan(work, cache))
