"""The administrator's certificate and key: over SSH from a control plane, and kept in memory alone."""

import base64
import binascii
import ssl
import tempfile
from pathlib import Path

from homelab.errors import HostFault, Unreachable
from homelab.formats.kubernetes.admin import Admin, NoAdmin, read_admin
from homelab.ports.ssh import Shell

ADMIN = "/etc/kubernetes/admin.conf"
# Where a file never comes to a disk; elsewhere the machine's own folder for passing files has to do.
MEMORY = Path("/dev/shm")
LINE_BROKE = -1


def fetch_admin(shell: Shell) -> Admin:
    """The administrator as admin.conf on a control plane has it. Raises Unreachable, HostFault."""
    # On one line, so that what a person's .bashrc prints before can be told apart.
    output = shell.run(["sudo", "-n", "base64", "--wrap=0", ADMIN])
    where = shell.login.where
    if output.status == LINE_BROKE:
        what, advice = "the connection broke while it was asked", "Check that the machine is on, and run again"
        raise Unreachable(what, where=where, advice=advice)
    if output.status:
        raise HostFault(
            f"{ADMIN} cannot be read: {output.stderr.strip()[:200] or 'no reason was told'}",
            where=where,
            advice="Run `homelab bootstrap`: it has kubeadm make that file where it is missing",
        )
    try:
        text = base64.b64decode(output.stdout.rstrip("\n").rpartition("\n")[2], validate=True).decode()
        return read_admin(text)
    except (NoAdmin, binascii.Error, UnicodeDecodeError) as error:
        said = error if isinstance(error, NoAdmin) else "it is no text"
        raise HostFault(
            f"{ADMIN} is not as kubeadm writes it: {said}",
            where=where,
            advice="Move it away there and run `homelab bootstrap`: it has kubeadm make that file where it is missing",
        ) from None


def client_context(admin: Admin) -> ssl.SSLContext:
    """TLS as the administrator speaks it: the cluster's CA alone is trusted. Raises ValueError, ssl.SSLError.

    ssl reads a client's key from a file only: it has one for this moment, in memory where the machine has such a place.
    """
    context = ssl.create_default_context(cadata=admin.ca)
    folder = MEMORY if MEMORY.is_dir() else None
    # Mode 0700 from its beginning, the file in it 0600.
    with tempfile.TemporaryDirectory(prefix="homelab-", dir=folder) as private:
        pair = Path(private) / "pair.pem"
        pair.touch(mode=0o600)
        pair.write_text(f"{admin.certificate}\n{admin.key}", encoding="ascii")
        context.load_cert_chain(pair)
    return context
