"""The command `kubernetes bundle`: what nodes without a way out are installed from, made once and kept in the cache."""

from pathlib import Path

from homelab.commands.options import Options
from homelab.commands.wanted_lab import lab_of, vault_of
from homelab.errors import DONE
from homelab.ports.files.home import cache_folder
from homelab.ports.kubernetes.make import bundle_there, chosen_way, copy_bundle, make_bundle


def kubernetes_bundle(options: Options, file: Path | None, made_from: str) -> int:
    """Make the bundle of the inventory's version, or say where it is."""
    version = lab_of(options, vault_of(options)).kubernetes.version.removeprefix("v")
    cache = cache_folder()
    bundle = bundle_there(cache, version, made_from)
    was_there = bundle is not None
    if bundle is None:
        bundle = make_bundle(cache, version, chosen_way(version, made_from), options.ui.note)
    if file:
        copy_bundle(bundle, file)
    _say(options, version, file or bundle, was_there=was_there)
    return DONE


def _say(options: Options, version: str, bundle: Path, *, was_there: bool) -> None:
    size = bundle.stat().st_size
    if options.ui.json:
        options.ui.document(
            {"bundle": str(bundle), "kubernetes_version": version, "bytes": size, "made": not was_there}
        )
        return
    options.ui.say(f"{bundle}: Kubernetes {version}, {size / 1e6:.0f} MB{', was there' if was_there else ''}")
    options.ui.note(f"the inventory names it: kubernetes_bundle: {bundle}")
