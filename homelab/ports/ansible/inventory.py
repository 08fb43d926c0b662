"""The inventory as Ansible merges it: the only place that runs `ansible-inventory`.

Its output holds secrets, so it is captured and never logged. Values come untemplated; a whole file that is encrypted
comes decrypted, an inline `!vault` value comes as ciphertext (ansible-core 2.19) and goes through `Vault.decrypt`.
"""

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homelab.errors import UsageError
from homelab.formats.near import did_you_mean
from homelab.ports import process
from homelab.ports.ansible import settings
from homelab.ports.ansible.ahead import Ahead
from homelab.ports.ansible.complaints import complaint

DEADLINE = 120
MOST = 64 << 20
BOTH_WAYS = (
    "Set ANSIBLE_VAULT_PASSWORD_FILE to a file that holds it, or vault_password_file under [defaults] in ansible.cfg"
)
# A source that cannot be read is a mistake; no log holds what is read.
SETTINGS = {
    "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
    "ANSIBLE_HOST_PATTERN_MISMATCH": "error",
    "ANSIBLE_LOG_PATH": os.devnull,
    "ANSIBLE_NOCOLOR": "true",
}
# What a variable is called whose value must not be seen: ansible_password, ansible_become_pass, vault_nas_password...
SECRET = re.compile(r"(pass|passwd|password|passphrase|secret|token)$", re.IGNORECASE)
# What was begun for a command that is being loaded, by its arguments.
_BEGUN: dict[tuple[str, ...], Ahead] = {}
NO_PASSWORD = ("no vault secrets found", "no vault secrets were found", "vault password")


@dataclass(frozen=True)
class RawInventory:
    """What Ansible read: groups with their own hosts and children, and the merged variables of every host."""

    hosts_of: Mapping[str, tuple[str, ...]]
    children_of: Mapping[str, tuple[str, ...]]
    hostvars: Mapping[str, Mapping[str, Any]] = field(repr=False)

    def members(self, group: str) -> tuple[str, ...]:
        """The hosts of a group and of the groups in it, in the inventory's order."""
        found = list(self.hosts_of.get(group, ()))
        for child in self.children_of.get(group, ()):
            found += self.members(child)
        return tuple(dict.fromkeys(found))

    def depths(self) -> dict[str, int]:
        """How deep each group lies below `all`: the deeper group's variables win."""
        found = {"all": 0}
        waiting = ["all"]
        while waiting:
            group = waiting.pop()
            for child in self.children_of.get(group, ()):
                if found.get(child, -1) <= found[group]:
                    found[child] = found[group] + 1
                    waiting.append(child)
        return found


class Vault:
    """The vault's password for one run: Ansible's own settings first, else one prompt, kept in memory only."""

    def __init__(self, prompt: Callable[[], str] | None = None) -> None:
        self._prompt = prompt
        self._password: str | None = None
        self._plain: dict[str, str] = {}
        self._met: set[str] = set()

    @property
    def secrets(self) -> set[str]:
        """What must not be seen anywhere: its own password, what it opened, and the inventory's passwords so far."""
        return {*self._met, *self._plain.values(), *_own_password(), self._password or ""} - {""}

    def learn(self, hostvars: Mapping[str, Mapping[str, Any]]) -> None:
        """Remember the secrets among the variables of all hosts, those that we have no use for, too."""
        for variables in hostvars.values():
            values = (value for name, value in variables.items() if SECRET.search(name))
            self._met |= {
                str(value) for value in values if isinstance(value, str | int | float) and "{{" not in str(value)
            }

    @contextmanager
    def handed_over(self) -> Iterator[tuple[list[str], tuple[int, ...]]]:
        """Arguments for an Ansible program, and the descriptors it must inherit; both empty when nobody was asked."""
        if self._password is None:
            yield [], ()
            return
        reading, writing = os.pipe()
        try:
            with os.fdopen(writing, "w", encoding="utf-8") as pipe:
                pipe.write(self._password)
            yield ["--vault-password-file", f"/dev/fd/{reading}"], (reading,)
        finally:
            os.close(reading)

    @property
    def was_asked(self) -> bool:
        """Whether a person typed the password, which happens only where something has to be opened by it."""
        return self._password is not None

    def ask(self) -> bool:
        """Ask for the password, once a run; False when it was asked already or nobody can be asked."""
        if self._password is not None or self._prompt is None:
            return False
        self._password = self._prompt()
        return True

    def decrypt(self, ciphertext: str) -> str:
        """The text behind an inline `!vault` value; UsageError without the right password."""
        if ciphertext not in self._plain:
            configured = settings.user_settings().has_vault
            if not configured and self._password is None and not self.ask():
                raise _no_password("an inline !vault value")
            done = _run(["vault", "decrypt"], ["--output", "-", "-"], self, stdin=ciphertext)
            if done.status:
                raise _no_password("an inline !vault value", wrong=True)
            self._plain[ciphertext] = done.stdout
        return self._plain[ciphertext]

    def encrypt(self, text: str) -> str:
        """A text as a whole file that is a vault, closed by the configured password, else by the one that is asked for.

        UsageError without a password, or with a configuration that leaves open which of several is meant.
        """
        if not settings.user_settings().has_vault and self._password is None and not self.ask():
            raise _no_password("the new vault")
        done = _run(["vault", "encrypt"], ["--output", "-", "-"], self, stdin=text)
        if done.status or not done.stdout.startswith("$ANSIBLE_VAULT"):
            what = complaint(done.stderr) or "ansible-vault did not encrypt"
            raise UsageError(f"the vault cannot be made: {what}", where="ansible-vault", advice=BOTH_WAYS)
        self._met.add(text)
        return done.stdout


def list_hosts(sources: Sequence[Path], limit: str | None = None, vault: Vault | None = None) -> RawInventory:
    """All hosts with their variables, or those that a pattern of Ansible's selects.

    UsageError: a missing source, one that Ansible cannot read, a vault without its password, a pattern without a host.
    """
    require(sources)
    vault = vault or Vault()
    arguments = _listing(sources, limit)
    begun = _BEGUN.pop(tuple(arguments), None)
    done = begun.result() if begun else _run(["inventory"], arguments, vault)
    if done.status and _wants_password(done.stderr) and vault.ask():
        done = _run(["inventory"], arguments, vault)
    if done.status:
        raise _translated(done.stderr, sources, limit)
    raw = _parsed(done.stdout, sources)
    vault.learn(raw.hostvars)
    return raw


def begin(sources: Sequence[Path]) -> None:
    """Have Ansible read these sources already, for a command that will list their hosts; `end` when it does not."""
    process.utf_8()  # asks for this process's locale, which no other thread may do
    arguments = _listing(sources)
    if all(source.exists() for source in sources):
        _BEGUN[tuple(arguments)] = Ahead(lambda stop: _run(["inventory"], arguments, stop=stop))


def end() -> None:
    """Give up what was begun and not asked for."""
    while _BEGUN:
        _BEGUN.popitem()[1].end()


def _listing(sources: Sequence[Path], limit: str | None = None) -> list[str]:
    # ansible-inventory also reads group_vars/ of the working directory, as if a playbook lay there; ansible-playbook
    # would not. A folder without any keeps the two alike.
    arguments = ["--list", "--playbook-dir", str(Path(__file__).parent)]
    for source in sources:
        arguments += ["-i", str(source.absolute())]
    if limit is not None:
        arguments.append(f"--limit={limit}")
    return arguments


def require(sources: Sequence[Path]) -> None:
    """UsageError unless every source exists: Ansible would go on without it."""
    for source in sources:
        if not source.exists():
            advice = "Name the lab's inventory with -i, or go to the folder that holds it"
            raise UsageError("there is no such inventory", where=str(source), advice=advice, kind="no-inventory")


def select_hosts(sources: Sequence[Path], pattern: str, vault: Vault | None = None) -> tuple[str, ...]:
    """The names that a pattern of Ansible's selects (`-l`), which may hold short names; UsageError for none."""
    try:
        names = list_hosts(sources, pattern, vault).members("all")
    except UsageError as error:
        # Ansible knows whole names alone, so it is asked once more only where it found nothing.
        raw = list_hosts(sources, vault=vault)
        whole = whole_names(pattern, raw)
        if whole != pattern:
            return select_hosts(sources, whole, vault)
        known = {*raw.members("all"), *raw.hosts_of}
        words = [word for word in re.findall(r"[\w.-]+", pattern) if word not in known]
        raise UsageError(
            error.what, where=error.where, advice=f"{did_you_mean(words, sorted(known))}{error.advice}", kind="names"
        ) from None
    if not names:
        raise _no_match(sources, pattern)
    return names


def whole_names(pattern: str, raw: RawInventory) -> str:
    """A pattern with the short names in it as the inventory has them: `brix1,!cp2` -> `brix1.lab.example,!CP2`."""
    from homelab.lab import meant

    known = raw.members("all")

    def whole(found: re.Match[str]) -> str:
        word = found[0]
        return word if word in raw.hosts_of or word in raw.children_of else meant(word, known) or word

    return re.sub(r"[\w.-]+", whole, pattern)


def _run(
    program: Sequence[str],
    arguments: Sequence[str],
    vault: Vault | None = None,
    stdin: str = "",
    stop: threading.Event | None = None,
) -> process.Done:
    with (vault or Vault()).handed_over() as (extra, descriptors):
        child = process.Child(
            name=f"ansible {program[0]}",
            argv=[sys.executable, "-m", f"ansible.cli.{program[0]}", *program[1:], *extra, *arguments],
            seconds=DEADLINE,
            advice="Run `ansible-inventory --list` by hand: an inventory script or a vault program may hang",
            environment={**settings.environment(), **SETTINGS},
            without=settings.PREFIX,
            descriptors=descriptors,
            stdin=stdin.encode(),
            # A vault program of the user's may ask for something on the terminal.
            shares_terminal=True,
        )
        return process.run(child, most=MOST, stop=stop)


def _parsed(text: str, sources: Sequence[Path]) -> RawInventory:
    try:
        listed = json.loads(text)
        hostvars = {name: dict(variables) for name, variables in listed.pop("_meta")["hostvars"].items()}
        hosts = {name: tuple(group.get("hosts", ())) for name, group in listed.items()}
        children = {name: tuple(group.get("children", ())) for name, group in listed.items()}
    except (ValueError, LookupError, TypeError, AttributeError):
        # Without the cause: it may quote what was read.
        raise UsageError(
            "ansible-inventory printed something else than an inventory",
            where=", ".join(map(str, sources)),
            advice="See what it prints: ansible-inventory --list; an inventory script or plugin may print beside it",
        ) from None
    return RawInventory(hosts_of=hosts, children_of=children, hostvars=hostvars)


def _own_password() -> set[str]:
    """The vault's password where it lies in a file that the settings name; a program is not run for it."""
    path = Path(settings.user_settings().variables.get(settings.PASSWORD_FILE) or os.devnull).expanduser()
    try:
        readable = path.is_file() and not os.access(path, os.X_OK)
        return {path.read_bytes().decode(errors="surrogateescape").strip()} if readable else set()
    except OSError:
        return set()


def _wants_password(stderr: str) -> bool:
    return any(phrase in stderr for phrase in NO_PASSWORD)


def _no_password(where: str, *, wrong: bool = False) -> UsageError:
    what = "the vault's password is wrong, or its file cannot be read" if wrong else "the vault needs its password"
    passed_over = settings.user_settings().passed_over
    return UsageError(
        what, where=where, advice=f"{BOTH_WAYS}{f'; {passed_over}' if passed_over else ''}", kind="the-vault"
    )


def _no_match(sources: Sequence[Path], pattern: str) -> UsageError:
    where = ", ".join(map(str, sources))
    advice = f"Look at the names with: ansible-inventory -i {sources[0]} --graph"
    return UsageError(
        f"the pattern {pattern!r} names a host or group that is not there", where=where, advice=advice, kind="names"
    )


def _translated(stderr: str, sources: Sequence[Path], limit: str | None) -> UsageError:
    """Ansible's complaint without the lines of the file that it quotes: they may hold secrets."""
    where = ", ".join(map(str, sources))
    if _wants_password(stderr):
        wrong = "no vault secrets found" not in stderr
        return _no_password(where, wrong=wrong)
    if limit is not None and "host pattern" in stderr:
        return _no_match(sources, limit)
    origins = re.findall(r"^Origin: (/[^\n]+?):\d+$", stderr, re.MULTILINE)
    what = complaint(stderr) or "ansible-inventory failed"
    place = _as_written(origins[0], sources) if origins else where
    return UsageError(
        what, where=place, advice=f"See what Ansible says: ansible-inventory -i {sources[0]} --list", kind="not-yaml"
    )


def _as_written(origin: str, sources: Sequence[Path]) -> str:
    for source in sources:
        folder = source if source.is_dir() else source.parent
        absolute = str(folder.absolute()) + os.sep
        if origin.startswith(absolute):
            return str(folder / origin.removeprefix(absolute))
    return origin
