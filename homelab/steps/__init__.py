"""The product, read aloud: its steps in their order."""

from homelab.step import Step
from homelab.steps.boot_media import BootMedia
from homelab.steps.cluster_ca import ClusterCa
from homelab.steps.driver_fix import DriverFix
from homelab.steps.first_boot import FirstBoot
from homelab.steps.guest import Guest
from homelab.steps.image import Image
from homelab.steps.kubernetes import KubernetesStep
from homelab.steps.load_balancer import LoadBalancerStep
from homelab.steps.local_datastore import LocalDatastore
from homelab.steps.nfs_datastore import NfsDatastore
from homelab.steps.reboot import Reboot
from homelab.steps.usb_housekeeping import UsbHousekeeping
from homelab.steps.vm import VmStep


def all_steps(*, wait: float = 0.0) -> tuple[Step, ...]:
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
    )


STEP_NAMES = tuple(step.name for step in all_steps())
