"""The commands `rehearse` and `rehearsal serve`: a simulated lab. With served_lab.py the modules that know it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from homelab.commands.options import Options
from homelab.commands.served_lab import Words, fault_requests, home_of_lab, or_sample
from homelab.commands.this_machine import refused_in_rehearsal, touches_devices
from homelab.commands.wanted_lab import vault_of
from homelab.errors import DONE, UsageError
from homelab.inventory import raw_variables, read_lab
from homelab.lab import Lab
from homelab.ports.files.home import cache_folder
from homelab.ports.files.home_folder import close_home
from homelab.rehearsal.kubernetes import bundles
from homelab.rehearsal.outside import launch, overlay, running_lab


def rehearse(options: Options, guests: str, kubernetes: str, faults: Words, command: Words) -> int:
    """Run a command (bootstrap unless told) on a fresh simulated copy of the lab."""
    if refused := touches_devices(command):
        raise refused_in_rehearsal(refused, "homelab rehearse")
    rehearsal = _rehearsal(options, guests, kubernetes, faults)
    with _running(options, rehearsal) as running:
        flags = options.ui.flags() + (["--limit", options.limit] if options.limit else [])
        return running_lab.run(running, running_lab.homelab_argv(running, flags, command, guests=rehearsal.guests))


def serve(options: Options, guests: str, kubernetes: str, faults: Words) -> int:
    """Start a simulated lab, bare, and stay until Ctrl-C or SIGTERM."""
    with _running(options, _rehearsal(options, guests, kubernetes, faults)) as running:
        if options.ui.json:
            options.ui.document(running.ready())
        else:
            options.ui.say(
                "the lab is ready; Ctrl-C ends it; in another shell: homelab rehearsal enter -- homelab plan"
            )
        running_lab.until_told()
    return DONE


def _running(options: Options, rehearsal: launch.Rehearsal) -> AbstractContextManager[running_lab.RunningLab]:
    def lab_of(sources: Sequence[Path]) -> Lab:
        return read_lab(sources, vault_of(options)).lab

    return launch.lab(rehearsal, lab_of, options.ui.note)


def _rehearsal(options: Options, guests: str, kubernetes: str, faults: Words) -> launch.Rehearsal:
    """What the rehearsal is made of; the packaged sample lab where there is no inventory."""
    requests = fault_requests(faults)
    options = replace(options, inventories=or_sample(options.inventories, options.ui))
    raw = raw_variables(options.inventories)
    if not raw.members("esxi"):
        raise UsageError(
            "there is nothing to rehearse: the inventory has no ESXi host",
            where=", ".join(map(str, options.inventories)),
            advice="Add the hosts to the group esxi; machines that exist already (vm_managed: false) are not simulated",
        )
    home = home_of_lab(options)
    for sentence in close_home(home):
        options.ui.note(sentence)
    return launch.Rehearsal(
        home=home,
        cache=cache_folder(),
        sources=options.inventories,
        groups={group: raw.members(group) for group in overlay.GROUPS},
        kubernetes=bundles.choose(cache_folder(), launch.kubernetes_version(raw.hostvars), kubernetes),
        guests=launch.choose_guests(guests, options.ui.warn),
        namespaces=launch.namespaces_possible(),
        faults=requests,
    )
