"""A file that only the vault's password opens, in ansible-vault's own form."""

import sys

from homelab.errors import HomelabError, UsageError
from homelab.ports import process
from homelab.ports.ansible import settings
from homelab.ports.ansible.inventory import BOTH_WAYS, SETTINGS, Vault

SECONDS = 600
# Its form has four letters for each byte.
MOST = 1 << 30
HEADER = "$ANSIBLE_VAULT;"


def require_password(vault: Vault) -> None:
    """UsageError unless the vault's password is known: by Ansible's settings, or typed and proved by the inventory.

    Nobody is asked for one that opens nothing: a slip of the finger would lock what is written for good.
    """
    if not settings.user_settings().has_vault and not vault.was_asked:
        what = "there is no vault password to encrypt with"
        advice = f"{BOTH_WAYS}. A password that is typed will do where the inventory has a vault that it opens"
        raise UsageError(what, where="vault", advice=advice)


def encrypted(vault: Vault, data: bytes) -> bytes:
    """The data as `ansible-vault decrypt` reads it. Raises UsageError without a password, HomelabError."""
    require_password(vault)
    with vault.handed_over() as (extra, descriptors):
        child = process.Child(
            name="ansible-vault encrypt",
            argv=[sys.executable, "-m", "ansible", "vault", "encrypt", *extra, *_identity(), "--output", "-", "-"],
            seconds=SECONDS,
            advice="Run `ansible-vault encrypt` by hand: a vault program may hang",
            environment={**settings.environment(), **SETTINGS},
            without=settings.PREFIX,
            descriptors=descriptors,
            stdin=data,
            shares_terminal=True,
        )
        done = process.run(child, most=MOST)
    if done.status or not done.stdout.startswith(HEADER):
        # Its words hold no secret: they are of passwords that it does not find, or of identities.
        said = done.stderr.strip().rpartition("\n")[2][:300]
        what = f"ansible-vault did not encrypt: {said or f'it ended with status {done.status}'}"
        raise HomelabError(what, where="vault", advice="See what `ansible-vault encrypt` says by hand")
    return done.stdout.encode()


def _identity() -> list[str]:
    """With which of several passwords: the one of the password file, else the first of the list."""
    variables = settings.user_settings().variables
    if settings.PASSWORD_FILE in variables:
        return ["--encrypt-vault-id", variables.get("ANSIBLE_VAULT_IDENTITY", "default")]
    first = variables.get(settings.IDENTITIES, "").partition(",")[0].strip()
    return ["--encrypt-vault-id", first.partition("@")[0]] if "@" in first else []
