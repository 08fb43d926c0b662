"""The command `image prune`: images that the inventory does not name any more are deleted."""

from homelab.commands.carry_out import carry_out
from homelab.commands.lab_run import open_run
from homelab.commands.options import Options
from homelab.steps.vms.old_images import OldImages


def image_prune(options: Options) -> int:
    """Delete the lab's old images, but none that a disk sits on; asks first."""
    return carry_out(open_run(options, (OldImages(),)), "image prune")
