"""`homelab kubernetes`: the cluster."""

from typing import TYPE_CHECKING

import click

from homelab.cli.options import with_lab

if TYPE_CHECKING:
    from homelab.commands.options import Options


@click.group()
def kubernetes() -> None:
    """The Kubernetes cluster on the VMs."""


@kubernetes.command("kubeconfig")
@click.option("-O", "file", metavar="FILE", help="This file, or - for stdout; kubectl's own unless told.")
@with_lab
def kubeconfig(options: "Options", file: str | None) -> int:
    """Merge the cluster, through its virtual address, into your kubeconfig; what it was before is kept beside it."""
    from homelab.commands import kubernetes_kubeconfig as command

    return command.kubeconfig(options, file)
