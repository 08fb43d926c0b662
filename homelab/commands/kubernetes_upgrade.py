"""The command `kubernetes upgrade`: another release on every node, and then what the roles note of it."""

from homelab.commands.carry_out import carry_out
from homelab.commands.lab_run import open_run
from homelab.commands.options import Options
from homelab.commands.wanted_lab import lab_of, vault_of
from homelab.errors import UsageError
from homelab.formats.kubernetes.release import Release
from homelab.lab import Lab
from homelab.steps.guests.cluster_ca import ClusterCa
from homelab.steps.guests.kubernetes import KubernetesStep
from homelab.steps.guests.load_balancer import LoadBalancerStep
from homelab.steps.guests.upgrade import Upgrade

VERIFY_SECONDS = 60.0


def kubernetes_upgrade(options: Options, version: str, bundle: str | None) -> int:
    """Want another release; a bundle of it takes the place of the inventory's."""
    release = Release.read(version)
    if release is None:
        raise UsageError(
            f"{version} is no release of Kubernetes", where="command line", advice="Write one such as 1.36.3"
        )
    found = lab_of(options, vault_of(options))
    lab = _wanting(found, release, bundle)
    run = open_run(options, (Upgrade(),), lab=lab)
    again = run.then(lab, (ClusterCa(), LoadBalancerStep(), KubernetesStep()), frozenset(vm.name for vm in lab.vms))
    code = carry_out(run, f"kubernetes upgrade {release}", then=again, verify_seconds=VERIFY_SECONDS)
    if not code and found.kubernetes.version != lab.kubernetes.version:
        told = f' and kubernetes_bundle: "{bundle}"' if bundle else ""
        run.note(f'write kubernetes_version: "{release}"{told} into the inventory: bootstrap goes by it')
    return code


def _wanting(lab: Lab, release: Release, bundle: str | None) -> Lab:
    kubernetes = lab.kubernetes.model_copy(update={"version": str(release), "bundle": bundle or lab.kubernetes.bundle})
    return lab.model_copy(update={"kubernetes": kubernetes})
