"""The files of a simulated host that the shell can read: made from its state when they are asked for.

Datastores below /vmfs/volumes are the real folders behind them; everything else is text.
"""

from pathlib import Path

from homelab.rehearsal.host import Host
from homelab.rehearsal.shell.facts import containing_vib
from homelab.rehearsal.storage import join

VOLUMES = "/vmfs/volumes"
KEYS = "/etc/ssh/keys-root/authorized_keys"


def texts(host: Host) -> dict[str, str]:
    """Every text file by its path."""
    maps = {_map_path(name, native): text for (name, native), text in _driver_maps(host).items()}
    keys = authorized_keys(host)
    return {
        "/etc/vmware/esx.conf": _esx_conf(host),
        "/etc/vmware/version": f"VMware ESXi {host.version} build-{host.build}\n",
        KEYS: "".join(f"{key}\n" for key in keys),
        **maps,
    }


def known_paths(host: Host) -> set[str]:
    """Every text file, every folder above one, and every volume: what patterns are matched against."""
    paths = {*texts(host), *(f"{VOLUMES}/{name}" for name in _volumes(host))}
    return paths | {str(folder) for path in paths for folder in Path(path).parents}


def authorized_keys(host: Host) -> tuple[str, ...]:
    """The public keys that may log in as root, as in OpenSSH's file."""
    return tuple(getattr(host, "authorized_keys", ()))


def read(host: Host, path: str) -> str:
    """A file's text; OSError as a real file would raise it."""
    real = _real(host, path)
    if real is not None:
        return real.read_text(errors="replace")
    clean = _clean(path)
    if clean in texts(host):
        return texts(host)[clean]
    if clean in known_paths(host):
        raise IsADirectoryError(path)
    raise FileNotFoundError(path)


def listing(host: Host, path: str) -> list[str] | None:
    """The sorted names in a folder, None when `path` is a file; FileNotFoundError when it is neither."""
    real = _real(host, path)
    if real is not None:
        return sorted(one.name for one in real.iterdir()) if real.is_dir() else _no_names(real)
    clean = _clean(path)
    if clean in texts(host):
        return None
    if clean not in known_paths(host):
        raise FileNotFoundError(path)
    prefix = clean.rstrip("/") + "/"
    inside = (one[len(prefix) :] for one in known_paths(host) if one.startswith(prefix) and one != prefix)
    return sorted({one.split("/")[0] for one in inside})


def _clean(path: str) -> str:
    """An absolute path without double slashes; the shell's folder is /."""
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


def _no_names(real: Path) -> list[str] | None:
    if not real.exists():
        raise FileNotFoundError(real)
    return None


def _volumes(host: Host) -> dict[str, Path]:
    """Names and hashed directories of the volumes, to their folders."""
    found: dict[str, Path] = {}
    for mount in host.mounts.values():
        found |= {mount.name: mount.volume.path, mount.volume.directory: mount.volume.path}
    return found


def _real(host: Host, path: str) -> Path | None:
    """The real file behind a path inside a volume; None for any other path."""
    clean = _clean(path)
    if not clean.startswith(f"{VOLUMES}/"):
        return None
    name, _, rest = clean.removeprefix(f"{VOLUMES}/").partition("/")
    if name not in _volumes(host) or ".." in rest.split("/"):
        return None
    return _volumes(host)[name] / rest


def datastore_path(host: Host, path: str) -> str | None:
    """A path inside a volume as `[NAME] path`; None for any other path."""
    clean = _clean(path)
    name, _, rest = clean.removeprefix(f"{VOLUMES}/").partition("/")
    for mount in host.mounts.values():
        if clean.startswith(f"{VOLUMES}/") and rest and name in (mount.name, mount.volume.directory):
            return join(mount.name, rest)
    return None


def _map_path(name: str, native: bool) -> str:
    return f"/etc/vmware/{'default' if native else 'driver'}.map.d/{name}.map"


def _driver_maps(host: Host) -> dict[tuple[str, bool], str]:
    """A map for every driver whose package is installed: the PCI ids that it claims, a line each."""
    maps = {}
    for module in host.modules.values():
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
    for name, module in sorted(host.modules.items()):
        if not module.enabled:
            lines.append(f'/vmkernel/module/{name}/enabled = "false"')
        if module.options:
            lines.append(f'/vmkernel/module/{name}/options = "{module.options}"')
    for name, mount in sorted(host.mounts.items()):
        lines += [
            f'/nas/{name}/enabled = "true"',
            f'/nas/{name}/host = "{mount.server}"',
            f'/nas/{name}/readOnly = "{str(mount.access_mode == "readOnly").lower()}"',
            f'/nas/{name}/share = "{mount.share}"',
        ]
    return "".join(f"{line}\n" for line in lines)
