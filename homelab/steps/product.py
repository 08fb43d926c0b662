"""The product, read aloud: its steps in their order."""

from homelab.engine.step import AnyStep
from homelab.steps.guests.cluster_ca import ClusterCa
from homelab.steps.guests.guest import Guest
from homelab.steps.guests.kubernetes import KubernetesStep
from homelab.steps.guests.load_balancer import LoadBalancerStep
from homelab.steps.guests.manifests import Manifests
from homelab.steps.hosts.boot_media import BootMedia
from homelab.steps.hosts.driver_fix import DriverFix
from homelab.steps.hosts.first_boot import FirstBoot
from homelab.steps.hosts.local_datastore import LocalDatastore
from homelab.steps.hosts.nfs_datastore import NfsDatastore
from homelab.steps.hosts.reboot import Reboot
from homelab.steps.hosts.usb_housekeeping import UsbHousekeeping
from homelab.steps.vms.image import Image
from homelab.steps.vms.vm import VmStep


def all_steps(*, wait: float = 0.0) -> tuple[AnyStep, ...]:
    """Every step of bootstrap, in order; `wait` in seconds for a person who boots a host from its stick."""
    return (
        BootMedia(wait),
        FirstBoot(),
        NfsDatastore(),
        LocalDatastore(),
        UsbHousekeeping(),
        DriverFix(),
        Reboot(),
        Image(),
        VmStep(),
        Guest(),
        ClusterCa(),
        LoadBalancerStep(),
        KubernetesStep(),
        Manifests(),
    )


STEP_NAMES = tuple(step.name for step in all_steps())
