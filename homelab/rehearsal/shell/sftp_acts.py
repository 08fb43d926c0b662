"""What SFTP does to a file of a datastore that is there, each with SFTP's answer: it asks what all writers ask."""

import os
import stat
from pathlib import Path

import paramiko
from paramiko import sftp as codes

from homelab.rehearsal.storage.disk_changes import move_file
from homelab.rehearsal.storage.volumes import Volumes, are_together

OK, FAILED, ABSENT = int(codes.SFTP_OK), int(codes.SFTP_FAILURE), int(codes.SFTP_NO_SUCH_FILE)


def rename(volumes: Volumes, file: Path, target: Path, *, label: str, target_label: str) -> int:
    """A file under another name, over one of that name; between two file systems a failure (EXDEV)."""
    if not file.exists():
        return ABSENT
    if not are_together(volumes, file, target):
        return FAILED
    move_file(volumes, file, target, force=True, label=label, target_label=target_label)
    return OK


def change(volumes: Volumes, file: Path, attr: paramiko.SFTPAttributes, *, label: str) -> int:
    """A file's new mode and length; owner and times are taken and not kept."""
    if not file.exists():
        return ABSENT
    volumes.check_writable(file, label=label)
    if attr.st_mode is not None:
        file.chmod(stat.S_IMODE(attr.st_mode))
    if attr.st_size is not None and attr.st_size != file.stat().st_size:
        volumes.check_unlocked(file, label=label)
        volumes.check_space(file, label=label, size=max(0, attr.st_size - file.stat().st_size))
        os.truncate(file, attr.st_size)
        volumes.forget_writes(file)
    return OK
