"""The esxcli commands about advanced settings, logs and core dumps, each named after its path."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.host.system_files import DEFAULT_LOGS, LOG_DIR, LOG_UNIQUE
from homelab.rehearsal.shell.answers import Failure, table
from homelab.rehearsal.shell.layouts import Block, Blocks, Output, Value
from homelab.rehearsal.state.parts import SCRATCH
from homelab.rehearsal.storage.datastores import MIB, VOLUMES

LOG_HOST = "Syslog.global.logHost"


@dataclass(frozen=True)
class Option:
    """An advanced setting that is a number."""

    default: int
    least: int
    most: int
    description: str


@dataclass(frozen=True)
class Text:
    """An advanced setting that is a text; one that only the host sets is `read_only`."""

    default: str
    description: str
    read_only: bool = False


TEXTS = {
    "ScratchConfig.ConfiguredScratchLocation": Text(
        "", "The directory configured to be used for scratch space. Changes will take effect on next reboot."
    ),
    SCRATCH: Text("", "The directory currently being used for scratch space.", read_only=True),
    LOG_DIR: Text(DEFAULT_LOGS, "Datastore path of directory to output logs to."),
    LOG_HOST: Text("", "The remote host to output logs to."),
}
# The ones of Net as recorded.
OPTIONS = {
    "NFS.MaxVolumes": Option(8, 8, 256, "Maximum number of mounted NFS v3 volumes. Requires reboot"),
    "Net.FollowHardwareMac": Option(
        0,
        0,
        1,
        "If set to 1, the management interface MAC address will update whenever the hardware MAC address changes.",
    ),
    "Net.TcpipDefLROEnabled": Option(1, 0, 1, "LRO enabled for TCP/IP"),
    "Net.UseHwTSO": Option(1, 0, 1, "When non-zero, use pNIC HW TSO offload if available"),
    "UserVars.SuppressShellWarning": Option(0, 0, 1, "Don't show warning for enabled local and remote shell access"),
}


def system_settings_advanced_list(host: Host, option: str | None = None) -> Output:
    """Advanced settings, one or all, a block each."""
    wanted = [_key(option)] if option else sorted([*OPTIONS, *TEXTS])
    return Blocks("SettingsAdvancedOption", tuple(Block(_setting(host, key)) for key in wanted))


def system_settings_advanced_set(
    host: Host,
    option: str,
    int_value: int | None = None,
    string_value: str | None = None,
    default: bool = False,
) -> Output:
    """Set a number or a text, or set it back to its default."""
    key = _key(option)
    known: Option | Text = OPTIONS[key] if key in OPTIONS else TEXTS[key]
    value: int | str | None = int_value if key in OPTIONS else string_value
    value = known.default if default else value
    if value is None:
        raise Failure(f"A value is wanted for the option {option}")
    if isinstance(known, Text) and known.read_only:
        raise Failure(f"The option {option} is read-only")
    if isinstance(known, Option) and not known.least <= int(value) <= known.most:
        raise Failure(f"The value {value} is out of the range of the option {option}")
    host.advanced[key] = value
    host.touch()
    return None


def _key(path: str) -> str:
    key = path.strip("/").replace("/", ".")
    if key not in (*OPTIONS, *TEXTS) or not path.startswith("/"):
        raise Failure(f"Unable to find branch or option {path} (or it is not simulated)")
    return key


def _setting(host: Host, key: str) -> Mapping[str, Value]:
    number, text = OPTIONS.get(key), TEXTS.get(key)
    described = number or text
    assert described
    return {
        "Path": "/" + key.replace(".", "/"),
        "Type": "integer" if number else "string",
        "Int Value": int(host.advanced.get(key, number.default)) if number else 0,
        "Default Int Value": number.default if number else 0,
        "Min Value": number.least if number else 0,
        "Max Value": number.most if number else 0,
        "String Value": str(host.advanced.get(key, text.default)) if text else "",
        "Default String Value": text.default if text else "",
        "Valid Characters": "*" if text else "",
        "Description": described.description,
    }


def system_syslog_config_get(host: Host) -> Output:
    """Where logs go; the values are the advanced settings of the same meaning."""
    folder = str(_advanced(host, LOG_DIR, ""))
    configured = folder not in ("", DEFAULT_LOGS)
    fields: dict[str, Value] = {
        "Default Network Retry Timeout": 180,
        "Dropped Log File Rotation Size": 100,
        "Dropped Log File Rotations": 10,
        "Enforce SSLCertificates": False,
        "Local Log Output": _shown(host, folder) if configured else "/scratch/log",
        "Local Log Output Is Configured": configured,
        "Local Log Output Is Persistent": host.system_files.logs_persist,
        "Local Logging Default Rotation Size": 1024,
        "Local Logging Default Rotations": 8,
        "Log To Unique Subdirectory": str(_advanced(host, LOG_UNIQUE, False)).lower() == "true",
        "Message Queue Drop Mark": 90,
        "Remote Host": str(_advanced(host, LOG_HOST, "")) or "<none>",
    }
    return Blocks("SyslogConfig", (Block(fields),), single=True)


def system_syslog_config_set(
    host: Host, logdir: str | None = None, logdir_unique: bool | None = None, loghost: str | None = None
) -> Output:
    """Set where logs go."""
    for key, value in ((LOG_DIR, logdir), (LOG_UNIQUE, logdir_unique), (LOG_HOST, loghost)):
        if value is not None:
            host.advanced[key] = value
            host.touch()
    return None


def _shown(host: Host, folder: str) -> str:
    """A log folder as a path, however it was named."""
    found = host.datastores.located(folder)
    return f"{VOLUMES}/{found[0].volume.directory}/{found[1]}".rstrip("/") if found else folder


def system_syslog_reload(host: Host) -> Output:
    """Let the log daemon read its configuration: it does so at once here."""
    return None


def _advanced(host: Host, key: str, default: Any) -> Any:
    value = host.advanced.get(key, default)
    return default if value is None else value


def system_coredump_file_add(
    host: Host, datastore: str | None = None, file: str | None = None, size: int | None = None, enable: bool = False
) -> Output:
    """Make a file for core dumps on a VMFS; the size in MB."""
    path = host.system_files.add_dump_file(datastore, file, size * MIB if size else None)
    if enable:
        host.system_files.use_dump_file(path)
    return None


def system_coredump_file_get(host: Host) -> Output:
    """The dump file in use and the configured one."""
    path = host.settings.dump_file
    fields: dict[str, Value] = {"Active": path if host.settings.dump_active else "", "Configured": path}
    return Blocks("DumpFile", (Block(fields),), single=True)


def system_coredump_file_list(host: Host) -> Output:
    """Every file for core dumps."""
    settings = host.settings
    rows = tuple(
        (path, path == settings.dump_file and settings.dump_active, path == settings.dump_file, file.stat().st_size)
        for path, file in host.system_files.dump_files().items()
    )
    return table("DumpFile", ("Path", "Active", "Configured", "Size"), rows)


def system_coredump_file_set(
    host: Host, path: str | None = None, enable: bool | None = None, smart: bool = False, unconfigure: bool = False
) -> Output:
    """Choose the file for core dumps: by its path, or the first there is; or none."""
    known = list(host.system_files.dump_files())
    if unconfigure:
        host.system_files.use_dump_file("")
    elif path is not None:
        host.system_files.use_dump_file(path, active=enable is not False)
    elif enable and smart and known:
        host.system_files.use_dump_file(host.settings.dump_file or known[0])
    elif enable is not None and host.settings.dump_file:
        host.system_files.use_dump_file(host.settings.dump_file, active=enable)
    else:
        raise Failure("Unable to find a dump file to configure")
    return None


def system_coredump_file_remove(host: Host, file: str | None = None, force: bool = False) -> Output:
    """Remove a file for core dumps; one that is in use only with --force."""
    path = file or host.settings.dump_file
    known = host.system_files.dump_files()
    if path not in known:
        raise Failure(f"Unable to find the dump file {path or '(none is configured)'}")
    if path == host.settings.dump_file:
        if host.settings.dump_active and not force:
            raise Failure(f"The dump file {path} is active")
        host.system_files.use_dump_file("")
    known[path].unlink()
    return None


def system_coredump_partition_get(host: Host) -> Output:
    """The dump partition in use and the configured one: the last one of the boot stick."""
    stick = "mpx.vmhba32:C0:T0:L0:9"
    return Blocks("DumpPartition", (Block({"Active": stick, "Configured": stick}),), single=True)
