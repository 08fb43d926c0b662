"""The command `kubernetes bundle`: what nodes without a way out are installed from, made once and kept in the cache."""

import re
from pathlib import Path

from homelab.commands.options import Options
from homelab.errors import DONE, UsageError
from homelab.inventory import raw_variables
from homelab.ports.files.home import cache_folder
from homelab.ports.kubernetes.copy import check_target, copy_bundle
from homelab.ports.kubernetes.make import Wanted, bundle_there, chosen_way, make_bundle

VERSION = re.compile(r"v?(1\.\d+\.\d+)")


def kubernetes_bundle(options: Options, version: str | None, wanted: Wanted, file: Path | None) -> int:
    """Make the bundle of a version, the inventory's unless told, or say where it is."""
    version = _version(version, "--kubernetes-version") if version else _of_the_inventory(options)
    if file:
        # Before minutes go by.
        check_target(file)
    cache = cache_folder()
    there = bundle_there(cache, version, wanted)
    bundle = there or make_bundle(cache, version, chosen_way(version, wanted), options.ui.note)
    if file:
        copy_bundle(bundle, file)
    _say(options, version, file or bundle, was_there=there is not None)
    return DONE


def _of_the_inventory(options: Options) -> str:
    """The version alone: a bundle is made without the passwords of hosts."""
    raw = raw_variables(options.inventories)
    where = ", ".join(map(str, options.inventories))
    values = (str(values["kubernetes_version"]) for values in raw.hostvars.values() if "kubernetes_version" in values)
    return _version(next(values, "(not set)"), f"kubernetes_version in {where}")


def _version(text: str, where: str) -> str:
    found = VERSION.fullmatch(text)
    if found is None:
        raise UsageError(f"no version of Kubernetes: {text}", where=where, advice="Write all three parts, as in 1.36.3")
    return found[1]


def _say(options: Options, version: str, bundle: Path, *, was_there: bool) -> None:
    size = bundle.stat().st_size
    if options.ui.json:
        fields = {"bundle": str(bundle), "kubernetes_version": version, "bytes": size, "made": not was_there}
        options.ui.document(fields)
        return
    options.ui.say(f"{bundle}: Kubernetes {version}, {size / 1e6:.0f} MB{', was there' if was_there else ''}")
    options.ui.note(f"the inventory names it: kubernetes_bundle: {bundle}")
