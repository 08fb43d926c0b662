"""What of a user's Ansible settings reaches our children: those of the vault, and the log that they keep.

A callback, an interpreter, a shell, tags or a way to become root that suit somebody's other playbooks would each break
ours, half-way through a lab. So the children get a configuration of ours and no variable ANSIBLE_... but these. They
are looked for where Ansible itself looks (its configuration reference): variables, then the one file that counts.
"""

import configparser
import functools
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from homelab.errors import UsageError

OURS = Path(__file__).parent / "ansible.cfg"
PREFIX = "ANSIBLE_"
PASSWORD_FILE, IDENTITIES = "ANSIBLE_VAULT_PASSWORD_FILE", "ANSIBLE_VAULT_IDENTITY_LIST"
# Variable -> its key below [defaults].
KEPT = {
    PASSWORD_FILE: "vault_password_file",
    IDENTITIES: "vault_identity_list",
    "ANSIBLE_VAULT_IDENTITY": "vault_identity",
    "ANSIBLE_VAULT_ID_MATCH": "vault_id_match",
    "ANSIBLE_LOG_PATH": "log_path",
}
PATHS = {PASSWORD_FILE, "ANSIBLE_LOG_PATH"}


@dataclass(frozen=True)
class Settings:
    """The variables that are taken; `passed_over` tells of a file that Ansible does not read, and why."""

    variables: Mapping[str, str] = field(default_factory=dict)
    passed_over: str = ""

    @property
    def has_vault(self) -> bool:
        """Whether something says where the vault's password comes from."""
        return not self.variables.keys().isdisjoint((PASSWORD_FILE, IDENTITIES))


def environment() -> dict[str, str]:
    """The variables that a child of ours gets instead of all ANSIBLE_... that there are. Raises UsageError."""
    return {"ANSIBLE_CONFIG": str(OURS), **_home(), **user_settings().variables}


def user_settings() -> Settings:
    """What is taken of the user's settings.

    UsageError for a configuration file that cannot be read or understood, and for a password file that is not there.
    """
    file, passed_over = _file()
    values = _read(file) if file else {}
    variables = {}
    for name, key in KEPT.items():
        if name in os.environ:
            variables[name] = os.environ[name]
        elif file and values.get(key):
            variables[name] = _located(values[key], file) if name in PATHS else values[key]
    _check_password_file(variables.get(PASSWORD_FILE, ""), file)
    return Settings({name: value for name, value in variables.items() if value}, passed_over)


def _file() -> tuple[Path | None, str]:
    """The one file that Ansible reads, and the one that it passes over because anybody may write beside it."""
    passed_over = ""
    named = os.environ.get("ANSIBLE_CONFIG", "")
    candidates = [Path(named).expanduser()] if named else []
    here = Path.cwd()
    if _is_file(here / "ansible.cfg"):
        if here.stat().st_mode & stat.S_IWOTH:
            passed_over = (
                f"{here}/ansible.cfg is passed over, because everybody may write to that folder: chmod o-w {here}"
            )
        else:
            candidates.append(here / "ansible.cfg")
    candidates += [Path("~/.ansible.cfg").expanduser(), Path("/etc/ansible/ansible.cfg")]
    files = (path / "ansible.cfg" if _is_folder(path) else path for path in candidates)
    return next((path for path in files if _is_file(path)), None), passed_over


def _is_file(path: Path) -> bool:
    """A home folder that may not be entered has no file for us, as for Ansible."""
    try:
        return path.is_file()
    except OSError:
        return False


def _read(file: Path) -> Mapping[str, str]:
    parser = configparser.ConfigParser(inline_comment_prefixes=(";",), interpolation=None, strict=False)
    try:
        parser.read_string(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(
            f"Ansible's configuration cannot be read: {error.strerror or error}",
            where=str(file),
            advice=f"Look with `ls -l {file}`: make it readable for you, or name another with ANSIBLE_CONFIG",
        ) from None
    except (configparser.Error, UnicodeDecodeError) as error:
        raise UsageError(
            f"Ansible's configuration cannot be understood: {_first_line(error)}",
            where=str(file),
            advice="Mend it: a setting stands below the line of its section, as [defaults]",
        ) from None
    return parser["defaults"] if parser.has_section("defaults") else {}


def _first_line(error: Exception) -> str:
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"line {error.lineno} stands before any section"
    return str(error).partition("\n")[0]


def _located(value: str, file: Path) -> str:
    """A path as Ansible takes it: relative to the folder of the file that names it."""
    path = Path(os.path.expandvars(value.strip("\"'"))).expanduser()
    return str(path if path.is_absolute() else file.parent / path)


def _check_password_file(value: str, file: Path | None) -> None:
    path = Path(value).expanduser() if value else None
    if path is not None and not path.exists():
        origin = PASSWORD_FILE if PASSWORD_FILE in os.environ else f"vault_password_file in {file}"
        raise UsageError(
            f"the file with the vault's password is not there: {path}",
            where=origin,
            advice="Make that file, or take the setting out; without it a prompt asks where a vault is used",
        )


def _home() -> dict[str, str]:
    """Ansible wants a folder of its own; where it could not make it, one elsewhere, for this user alone."""
    home = Path(os.environ.get("ANSIBLE_HOME") or "~/.ansible").expanduser()
    above = next((folder for folder in (home, *home.parents) if _is_folder(folder)), Path("/"))
    if os.access(above, os.W_OK | os.X_OK):
        return {"ANSIBLE_HOME": str(home)} if "ANSIBLE_HOME" in os.environ else {}
    return {"ANSIBLE_HOME": _elsewhere().name}


@functools.cache
def _elsewhere() -> tempfile.TemporaryDirectory[str]:
    """A folder that goes with this process."""
    return tempfile.TemporaryDirectory(prefix="homelab-ansible-", ignore_cleanup_errors=True)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
