"""Backups of a host's configuration: made on demand, kept under a path that nobody can guess."""

import io
import secrets
import tarfile

from homelab.rehearsal.host.host import Host


def make(host: Host) -> str:
    """Make a copy of the configuration; the path at which the host's web server offers it."""
    path = f"/downloads/{secrets.token_hex(16)}/configBundle-{host.name}.tgz"
    host.backups[path] = bundle(host)[: host.harm.backup_bytes]
    return path


def bundle(host: Host) -> bytes:
    """A bundle in the shape of a real one: a gzip tar with a manifest and the state, itself a gzip tar."""
    manifest = f"Build = {host.version}-{host.build}\nHost = {host.name}\n".encode()
    return _tar(
        {"Manifest.txt": manifest, "state.tgz": _tar({"local.tgz": _tar({"etc/vmware/esx.conf": _conf(host)})})}
    )


def _conf(host: Host) -> bytes:
    lines = []
    for module in host.drivers.modules.values():
        if not module.enabled:
            lines.append(f'/vmkernel/module/{module.name}/enabled = "false"')
    for mount in host.datastores.nas_mounts():
        lines += [
            f'/nas/{mount.name}/enabled = "true"',
            f'/nas/{mount.name}/host = "{mount.server}"',
            f'/nas/{mount.name}/readOnly = "{str(mount.access_mode == "readOnly").lower()}"',
            f'/nas/{mount.name}/share = "{mount.share}"',
        ]
    return "".join(f"{line}\n" for line in lines).encode()


def _tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in members.items():
            item = tarfile.TarInfo(name)
            item.size = len(data)
            archive.addfile(item, io.BytesIO(data))
    return buffer.getvalue()
