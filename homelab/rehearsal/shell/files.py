"""The files of a simulated host that the shell can read: made from its state when they are asked for.

Datastores below /vmfs/volumes are the real folders behind them; everything else is text.
"""

import uuid as uuids
from pathlib import Path

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.shell.facts import containing_vib
from homelab.rehearsal.shell.time_programs import NTP_CONF, is_text, ntp_conf
from homelab.rehearsal.state.disks import Disk
from homelab.rehearsal.storage.datastores import VOLUMES
from homelab.rehearsal.storage.paths import join

DEVICES = "/vmfs/devices/disks"
BANKS = ("altbootbank", "bootbank")
KEYS = "/etc/ssh/keys-root/authorized_keys"


def texts(host: Host) -> dict[str, str]:
    """Every text file by its path."""
    maps = {_map_path(name, native): text for (name, native), text in _driver_maps(host).items()}
    keys = authorized_keys(host)
    return {
        "/etc/vmware/esx.conf": _esx_conf(host),
        "/etc/vmware/version": f"VMware ESXi {host.version} build-{host.build}\n",
        **({NTP_CONF: ntp_conf(host)} if is_text(host) else {}),
        KEYS: "".join(f"{key}\n" for key in keys),
        **maps,
        **({} if host.harm.stick_lost else {"/bootbank/boot.cfg": _boot_cfg(host)}),
        **host.edited_files,
    }


def links(host: Host) -> dict[str, str]:
    """The symbolic links right below / by their names: the boot banks are volumes of the stick.

    A stick that came too late at the boot leaves them in memory; one that died since leaves them leading nowhere.
    """
    if host.harm.stick_lost == "late":
        return {"altbootbank": f"/tmp/{host.stick_uuid[:8]}", "bootbank": f"/tmp/{host.stick_uuid[-8:]}"}
    banks = {name: uuids.uuid5(uuids.NAMESPACE_OID, f"{name} {host.stick_uuid}").hex for name in BANKS}
    return {name: f"{VOLUMES}/{bank[:8]}-{bank[8:16]}-{bank[16:20]}-{bank[20:]}" for name, bank in banks.items()}


def _boot_cfg(host: Host) -> str:
    return f"bootstate=0\ntitle=Loading VMware ESXi\nbuild={host.version}-0.0.{host.build}\nupdated=1\n"


def known_paths(host: Host) -> set[str]:
    """Every text file, every folder above one, and every volume: what patterns are matched against."""
    paths = {*texts(host), *(f"{VOLUMES}/{name}" for name in _volumes(host))}
    paths |= {f"{DEVICES}/{name}" for name in _disks(host)}
    return paths | {str(folder) for path in paths for folder in Path(path).parents}


def authorized_keys(host: Host) -> tuple[str, ...]:
    """The public keys that may log in as root, as in OpenSSH's file."""
    return host.authorized_keys


def read(host: Host, path: str) -> str:
    """A file's text; OSError as a real file would raise it."""
    file = real(host, path)
    if file is not None:
        return file.read_text(errors="replace")
    clean = _clean(path)
    if clean in texts(host):
        return texts(host)[clean]
    if clean in known_paths(host):
        raise IsADirectoryError(path)
    raise FileNotFoundError(path)


def listing(host: Host, path: str) -> list[str] | None:
    """The sorted names in a folder, None when `path` is a file; FileNotFoundError when it is neither."""
    file = real(host, path)
    if file is not None:
        return sorted(one.name for one in file.iterdir()) if file.is_dir() else _no_names(file)
    clean = _clean(path)
    if clean in texts(host) or (clean.startswith(f"{DEVICES}/") and clean in known_paths(host)):
        return None
    if clean not in known_paths(host):
        raise FileNotFoundError(path)
    prefix = clean.rstrip("/") + "/"
    inside = (one[len(prefix) :] for one in known_paths(host) if one.startswith(prefix) and one != prefix)
    return sorted({one.split("/")[0] for one in inside} | (set(links(host)) if clean == "/" else set()))


def _clean(path: str) -> str:
    """An absolute path without double slashes; the shell's folder is /."""
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


def _no_names(file: Path) -> list[str] | None:
    if not file.exists():
        raise FileNotFoundError(file)
    return None


def _volumes(host: Host) -> set[str]:
    """Names and directories of the volumes."""
    return {name for mount in host.datastores.mounts.values() for name in (mount.name, mount.volume.directory)}


def _disks(host: Host) -> set[str]:
    """The disks and their partitions."""
    return {name for disk in host.disks.values() for name in _devices(disk)}


def _devices(disk: Disk) -> list[str]:
    return [disk.canonical_name, *(f"{disk.canonical_name}:{one.number}" for one in disk.partitions)]


def real(host: Host, path: str) -> Path | None:
    """The real file behind a path inside a volume, None for any other; FileNotFoundError where the volume is away."""
    found = host.datastores.located(_clean(path))
    if found is None:
        return None
    if not host.datastores.accessible(found[0]):
        raise FileNotFoundError(path)
    return found[0].volume.path / found[1]


def datastore_path(host: Host, path: str) -> str | None:
    """A path inside a volume as `[NAME] path`; None for any other path."""
    found = host.datastores.located(_clean(path))
    return join(found[0].name, found[1]) if found and found[1] else None


def _map_path(name: str, native: bool) -> str:
    return f"/etc/vmware/{'default' if native else 'driver'}.map.d/{name}.map"


def _driver_maps(host: Host) -> dict[tuple[str, bool], str]:
    """A map for every driver whose package is installed: the PCI ids that it claims, a line each."""
    maps = {}
    for module in host.drivers.modules.values():
        if module.claims and containing_vib(host, module):
            line = _native_line if module.native else _linux_line
            maps[module.name, module.native] = "".join(line(claim, module.name) for claim in module.claims)
    return maps


def _linux_line(pci_id: str, driver: str) -> str:
    return f"regtype=linux,bus=pci,id={pci_id} 0000:0000,driver={driver},class=network\n"


def _native_line(pci_id: str, driver: str) -> str:
    """Vendor and device; wildcards for the subsystem and the class."""
    return f"regtype=native,bus=pci,id={pci_id.replace(':', '')}{'.' * 14},driver={driver}\n"


def _esx_conf(host: Host) -> str:
    """The lines of esx.conf that the simulated state knows."""
    lines = []
    for name, module in sorted(host.drivers.modules.items()):
        if not module.enabled:
            lines.append(f'/vmkernel/module/{name}/enabled = "false"')
        if module.options:
            lines.append(f'/vmkernel/module/{name}/options = "{module.options}"')
    for name, mount in sorted((mount.name, mount) for mount in host.datastores.nas_mounts()):
        lines += [
            f'/nas/{name}/enabled = "true"',
            f'/nas/{name}/host = "{mount.server}"',
            f'/nas/{name}/readOnly = "{str(mount.access_mode == "readOnly").lower()}"',
            f'/nas/{name}/share = "{mount.share}"',
        ]
    return "".join(f"{line}\n" for line in lines)
