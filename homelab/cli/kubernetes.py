"""`homelab kubernetes`: the cluster."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from homelab.cli.options import with_globals, with_lab

if TYPE_CHECKING:
    from homelab.commands.options import Options
    from homelab.ports.kubernetes.make import Wanted


@click.group()
def kubernetes() -> None:
    """The Kubernetes cluster on the VMs, and what it is installed from."""


@kubernetes.command("bundle")
@click.option("-O", "file", type=click.Path(path_type=Path), metavar="FILE", help="Also write it to FILE.")
@click.option(
    "--from",
    "wanted",
    type=click.Choice(["auto", "community", "source"]),
    default="auto",
    help="The community's servers, or source through Go's module proxy (needs Go); auto takes what can be had.",
)
@click.option("--kubernetes-version", "version", metavar="VERSION", help="Of another version than the inventory's.")
@with_globals
def kubernetes_bundle(options: "Options", file: Path | None, wanted: "Wanted", version: str | None) -> int:
    """Make the bundle that guests without a way out are installed from; kept in the cache, made only once.

    It holds what the inventory's kubernetes_version needs. A run that was ended goes on where it stopped.
    """
    from homelab.commands import kubernetes_bundle as command

    return command.kubernetes_bundle(options, version, wanted, file)


@kubernetes.command("kubeconfig")
@click.option("-O", "file", metavar="FILE", help="This file, or - for stdout; kubectl's own unless told.")
@with_lab
def kubeconfig(options: "Options", file: str | None) -> int:
    """Merge the cluster, through its virtual address, into your kubeconfig; what it was before is kept beside it."""
    from homelab.commands import kubernetes_kubeconfig as command

    return command.kubeconfig(options, file)


@kubernetes.command("backup")
@click.option(
    "-O", "file", type=click.Path(path_type=Path), metavar="FILE", help="This file; a new one here unless told."
)
@with_lab
def kubernetes_backup(options: "Options", file: Path | None) -> int:
    """Write etcd's snapshot, the CA and the keys into one file, encrypted with the vault's password.

    Nothing is written over. How to restore: docs/how-to/back-up-and-restore.md.
    """
    from homelab.commands import kubernetes_backup as command

    return command.kubernetes_backup(options, file)


@kubernetes.command("upgrade")
@click.argument("version", metavar="VERSION")
@click.option("--bundle", metavar="FILE", help="A bundle of that release, in the place of the inventory's.")
@with_lab
def kubernetes_upgrade(options: "Options", version: str, bundle: str | None) -> int:
    """Bring every node to another release, one after another; the API stays.

    One minor release at a time, and never back. Each node is drained meanwhile, and the balancers send nobody there.
    """
    from homelab.commands import kubernetes_upgrade as command

    return command.kubernetes_upgrade(options, version, bundle)
