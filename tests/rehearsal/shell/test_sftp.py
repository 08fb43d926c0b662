"""SFTP of the simulated host, asked by OpenSSH's own clients, and by paramiko for what those do not tell."""

import io
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell.server import ShellFace
from homelab.rehearsal.state.vm import Vm, VmDisk
from tests.rehearsal.shell.test_shell import make_host

STORE = "/vmfs/volumes/nas"


class Lab:
    """A host with a datastore, its shell, and OpenSSH's clients with a key that it knows."""

    def __init__(self, work: Path) -> None:
        self.work, self.host = work, make_host(work)
        self.host.datastores.mount_nas("192.168.1.22", "/volume1/vmnfsbackup", "nas")
        self.key = work / "id"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        self.host.authorized_keys = ((work / "id.pub").read_text().strip(),)
        self.face = ShellFace(self.host, "127.0.0.1", 0)
        self.face.start()
        (work / "known").write_text(self.face.known_hosts_line)

    @property
    def store(self) -> Path:
        return self.host.datastores.mounts["nas"].volume.path

    def client(self, program: str, *words: str, batch: str = "") -> "subprocess.CompletedProcess[str]":
        options = (f"UserKnownHostsFile={self.work / 'known'}", f"IdentityFile={self.key}", "IdentitiesOnly=yes")
        argv = [program, "-F", "none", "-P", str(self.face.port), *(x for one in options for x in ("-o", one)), *words]
        return subprocess.run(argv, input=batch, capture_output=True, text=True, timeout=30, check=False)

    def sftp(self, *lines: str) -> "subprocess.CompletedProcess[str]":
        return self.client("sftp", "-b", "-", "root@127.0.0.1", batch="\n".join(lines) + "\n")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.face.stop()


@pytest.fixture
def files(lab: Lab) -> Iterator[paramiko.SFTPClient]:
    with paramiko.SSHClient() as client:
        client.load_host_keys(str(lab.work / "known"))
        client.connect("127.0.0.1", lab.face.port, "root", key_filename=str(lab.key), allow_agent=False)
        yield client.open_sftp()


def test_openssh_puts_lists_gets_renames_and_removes(lab: Lab) -> None:
    (lab.work / "seed").write_bytes(b"secret\n" * 100_000)
    done = lab.sftp(
        f"mkdir {STORE}/cp1",
        f"put {lab.work}/seed {STORE}/cp1/seed.iso",
        f"chmod 600 {STORE}/cp1/seed.iso",
        f"ls -1 {STORE}/cp1",
        f"get {STORE}/cp1/seed.iso {lab.work}/back",
        f"rename {STORE}/cp1/seed.iso {STORE}/cp1/seed.old",
    )
    assert done.returncode == 0, done.stderr
    assert "seed.iso" in done.stdout
    assert (lab.work / "back").read_bytes() == (lab.work / "seed").read_bytes()
    assert stat.S_IMODE((lab.store / "cp1/seed.old").stat().st_mode) == 0o600
    assert lab.sftp(f"rm {STORE}/cp1/seed.old", f"rmdir {STORE}/cp1").returncode == 0
    assert not (lab.store / "cp1").exists()


def test_scp_brings_a_file(lab: Lab) -> None:
    (lab.work / "image").write_bytes(bytes(1 << 20) + b"end")
    done = lab.client("scp", "-s", str(lab.work / "image"), f"root@127.0.0.1:{STORE}/image")
    assert done.returncode == 0, done.stderr
    assert (lab.store / "image").read_bytes() == bytes(1 << 20) + b"end"
    assert (lab.store / "image").stat().st_blocks * 512 < 1 << 20


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"mkdir {STORE}/a", "Failure"),
        (f"mkdir {STORE}/b/c", "No such file"),
        (f"rmdir {STORE}/a", "Failure"),
        (f"rm {STORE}/nothing", "No such file"),
        ("mkdir /tmp/x", "unsupported"),
    ],
)
def test_what_cannot_be_is_refused(lab: Lab, line: str, said: str) -> None:
    (lab.store / "a").mkdir()
    (lab.store / "a/file").write_text("somebody's")
    done = lab.sftp(line)
    assert done.returncode != 0
    assert said in done.stderr
    assert (lab.store / "a/file").read_text() == "somebody's"


def test_a_file_that_is_to_be_new_is_not_laid_over_another(lab: Lab, files: paramiko.SFTPClient) -> None:
    (lab.store / "cp1.vmx").write_text("somebody's")
    with pytest.raises(OSError, match="Failure"):
        files.open(f"{STORE}/cp1.vmx", "wxb")
    assert (lab.store / "cp1.vmx").read_text() == "somebody's"


def test_disks_of_a_running_vm_are_held(lab: Lab, files: paramiko.SFTPClient) -> None:
    label = "[nas] cp1/cp1.vmdk"
    (lab.store / "cp1").mkdir()
    host: Host = lab.host
    host.datastores.volumes.create_disk(host.datastores.path_of(label), 1 << 20, label=label)
    vm = Vm(host.vms.next_moid(), "cp1", "nas", "[nas] cp1/cp1.vmx", disks=[VmDisk(2000, label, 1 << 20)])
    vm.controllers[1000] = "ParaVirtualSCSIController"
    host.vm_power.on(host.vms.create(vm))
    for name in ("cp1.vmdk", "cp1-flat.vmdk"):
        with pytest.raises(OSError, match="Failure"):
            files.remove(f"{STORE}/cp1/{name}")
        with pytest.raises(OSError, match="Failure"):
            files.open(f"{STORE}/cp1/{name}", "wb")
        with pytest.raises(OSError, match="Failure"):
            files.posix_rename(f"{STORE}/cp1/{name}", f"{STORE}/other")
        files.putfo(io.BytesIO(b"mine"), f"{STORE}/mine")
        with pytest.raises(OSError, match="Failure"):
            files.posix_rename(f"{STORE}/mine", f"{STORE}/cp1/{name}")
        with pytest.raises(OSError, match="Failure"):
            files.truncate(f"{STORE}/cp1/{name}", 10)


def test_the_nas_has_the_last_word(lab: Lab, files: paramiko.SFTPClient) -> None:
    nas = lab.host.datastores.volumes.nas
    nas.squashed.add(lab.host.datastores.volumes.client)
    with pytest.raises(PermissionError):
        files.mkdir(f"{STORE}/a")
    nas.squashed.clear()
    (lab.store / "mine").write_bytes(b"mine")
    nas.read_only_to.add(lab.host.datastores.volumes.client)
    for act in (lambda: files.chmod(f"{STORE}/mine", 0o600), lambda: files.truncate(f"{STORE}/mine", 1)):
        with pytest.raises(OSError, match="Failure"):
            act()
    assert (lab.store / "mine").read_bytes() == b"mine"
    nas.read_only_to.clear()
    nas.full = True
    with pytest.raises(OSError, match="Failure"):
        files.truncate(f"{STORE}/mine", 100)
    with pytest.raises(OSError, match="Failure"):
        files.open(f"{STORE}/a", "wb")
    nas.full, nas.away = False, True
    with pytest.raises(FileNotFoundError):
        files.listdir(STORE)


def test_no_file_is_renamed_to_another_volume(lab: Lab, files: paramiko.SFTPClient) -> None:
    """EXDEV of rename(2); clients copy then."""
    lab.host.datastores.leave_vmfs(next(iter(lab.host.disks.values())), "local")
    (lab.store / "mine").write_bytes(b"mine")
    with pytest.raises(OSError, match="Failure"):
        files.posix_rename(f"{STORE}/mine", "/vmfs/volumes/local/mine")
    with pytest.raises(OSError, match="unsupported"):
        files.posix_rename(f"{STORE}/mine", "/tmp/mine")
    files.posix_rename(f"{STORE}/mine", f"{STORE}/yours")
    assert (lab.store / "yours").read_bytes() == b"mine"


def test_an_upload_that_is_cut_leaves_what_arrived(lab: Lab, files: paramiko.SFTPClient) -> None:
    lab.host.harm.upload_cut = True
    with pytest.raises((OSError, EOFError, paramiko.SSHException)), files.open(f"{STORE}/image", "wb") as target:
        target.write(b"x" * 1000)
        target.flush()
        target.stat()
    assert 0 < (lab.store / "image").stat().st_size < 1000


def test_a_text_of_the_host_can_be_read(lab: Lab) -> None:
    done = lab.sftp(f"get /etc/vmware/version {lab.work}/version")
    assert done.returncode == 0, done.stderr
    assert (lab.work / "version").read_text().startswith("VMware ESXi")
