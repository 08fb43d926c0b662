"""The examples of every `--help`, in one place: a line to type, and above it what it is for where that is not plain."""

import click

EXAMPLES: dict[str, tuple[str, ...]] = {
    "": (
        "# the whole job on a simulated lab",
        "homelab rehearse",
        "# a lab of your own",
        "homelab init",
        "homelab doctor",
        "homelab plan",
        "homelab bootstrap",
    ),
    "init": ("homelab init mylab", "# from a script", "homelab init mylab --answers answers.yml"),
    "doctor": ("homelab doctor", "# one host only", "homelab doctor -l brix3"),
    "plan": ("homelab plan", "# for a script; exit code 3: there is something to do", "homelab plan -o json"),
    "bootstrap": (
        "homelab bootstrap",
        "# only the hosts, and wait half an hour for hands",
        "homelab bootstrap --until reboot --wait 30",
        "# one step on one host, without a question",
        "homelab bootstrap --only driver-fix -l brix3 --yes",
    ),
    "driver-fix": (
        "homelab driver-fix brix3 brix4",
        "# a host that no inventory knows",
        "VMWARE_USER=root homelab driver-fix 192.168.2.13",
        "# a host without a network: mend its stick",
        "homelab driver-fix brix3 --stick /dev/sdb",
    ),
    "verify": ("homelab verify",),
    "status": ("homelab status", "homelab status --watch"),
    "trust": ("homelab trust brix3", "# after brix3 was installed anew", "homelab trust brix3 --forget"),
    "schema": (
        "# for an editor, beside the inventory's files",
        "homelab schema > inventory/.schema.json",
        "# what plan prints with -o json",
        "homelab schema plan",
    ),
    "destroy": ("homelab destroy",),
    "down": ("homelab down",),
    "up": ("homelab up",),
    "vm": ("homelab vm list", "homelab vm rebuild cp2"),
    "vm list": ("homelab vm list", "homelab vm list -o json"),
    "vm create": ("homelab vm create cp2 cp3",),
    "vm destroy": ("homelab vm destroy cp2",),
    "vm rebuild": ("homelab vm rebuild cp2",),
    "vm move": ("homelab vm move cp2 brix4",),
    "image": ("homelab image list",),
    "image list": ("homelab image list",),
    "image prune": ("homelab image prune",),
    "usb": ("homelab usb build brix3", "homelab usb write brix3 sdb"),
    "usb build": ("homelab usb build brix3", "homelab usb build brix3 -O /tmp/brix3.img"),
    "usb verify": ("homelab usb verify brix3 brix3.img",),
    "usb lint": ("homelab usb lint ks.cfg",),
    "usb write": ("# which sticks there are", "homelab usb write brix3", "homelab usb write brix3 sdb"),
    "usb install": ("homelab usb install brix3 stick.img",),
    "lb": ("homelab lb status --watch", "homelab lb drain cp2"),
    "lb config": ("homelab lb config -l lb1",),
    "lb status": ("homelab lb status", "homelab lb status --watch"),
    "lb drain": ("# before cp2 is worked on", "homelab lb drain cp2"),
    "lb ready": ("homelab lb ready cp2",),
    "kubernetes": ("homelab kubernetes kubeconfig",),
    "kubernetes kubeconfig": ("homelab kubernetes kubeconfig",),
    "kubernetes upgrade": ("homelab kubernetes upgrade 1.36.4",),
    "kubernetes backup": ("homelab kubernetes backup",),
    "kubernetes bundle": ("homelab kubernetes bundle",),
    "rehearse": (
        "homelab rehearse",
        "homelab rehearse -- plan",
        "# what happens when a reboot hangs",
        "homelab rehearse --fault reboot-hangs@brix3",
    ),
    "rehearsal": ("homelab rehearsal serve", "homelab rehearsal enter -- homelab plan"),
    "rehearsal serve": ("homelab rehearsal serve --guests none",),
    "rehearsal enter": ("homelab rehearsal enter -- homelab plan", "homelab rehearsal enter"),
    "rehearsal fault": (
        "homelab rehearsal fault --list",
        "homelab rehearsal fault nas-vanishes",
        "homelab rehearsal fault --clear",
    ),
}  # fmt: skip


def add_examples(command: click.Command, path: str = "") -> None:
    """Put its examples at the end of the help of a command and of all below it."""
    if lines := EXAMPLES.get(path):
        # \b: click leaves the lines of this paragraph as they are.
        command.epilog = "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            add_examples(below, f"{path} {name}".strip())
