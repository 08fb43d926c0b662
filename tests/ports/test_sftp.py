"""Files by SFTP, where the host takes less than what it is sent."""

import io
import threading
from pathlib import Path

import pytest

from homelab.errors import HostFault
from homelab.ports.esxi.kept_shells import KeptShells
from homelab.ports.files.home import HomeFiles
from homelab.ports.sftp import BLOCK, RemoteFiles
from tests.helpers.one_host import lab_of, standing
from tests.helpers.vm_lab import make_free

# What paramiko sends at once.
PIECE = 32768


@pytest.mark.parametrize("size", [3 * PIECE + 100, 2 * BLOCK + 100])
def test_a_refused_piece_in_the_middle_is_noticed(tmp_path: Path, size: int) -> None:
    """The disk is nearly full: the pieces in the middle find no room, the small one at the end does."""
    lab = lab_of()
    with standing(lab, tmp_path, make_free) as served:
        volume = served.host.datastores.leave_vmfs(next(iter(served.host.disks.values())), "ssd").volume
        with (volume.path / "full").open("wb") as file:
            file.truncate(served.host.datastores.volumes.space(volume)[1] - PIECE - 8192)
        kept = KeptShells(HomeFiles(tmp_path / "home"), lambda _: None, threading.Event())
        files = RemoteFiles(kept.get(lab.esxi[0]), threading.Event())
        with pytest.raises(HostFault, match="PUT /vmfs/volumes/ssd/image: Failure"):
            files.write("/vmfs/volumes/ssd/image", io.BytesIO(b"x" * size), size)
