"""What a simulated host says no with: one class a cause, named after the vSphere fault that a real host gives.

Refusal                    `fault` is the name in vim.fault or vmodl.fault; `fields` are the fault's own properties
├── AlreadyExists          the very same NAS volume is mounted under a name
├── CannotDelete           what is never deleted: the root of a datastore
├── DiskHasParent          a disk that sits on another one cannot grow
├── DuplicateName          the name is taken by another object
├── DatastoreAway          the datastore's server does not answer
├── FewResources           the host has less left than the VM has reserved
├── FileAlreadyExists      the target file is there
├── FileLocked             a running VM holds the file
├── FileNotFound           no such file or folder
├── HostConfigFault        the host's configuration cannot become so
├── InvalidArgument        a value is wrong; `invalidProperty` names it
├── InvalidDatastorePath   not of the form `[NAME] path`
├── InvalidName            the name holds characters that it may not
├── InvalidPowerState      the VM is on and must be off, or the other way round
├── InvalidVmConfig        what a .vmx says is no VM
├── InvalidState           the host is not in the state that the call needs
├── NasRefused             the NAS would not serve the mount; the message is ESXi's own
├── NoDiskSpace            the datastore is full
├── NotFound               no object of that name
├── NotSimulated           a real host would; the rehearsal does not
├── PowerOnRefused         the machine of a VM does not start
├── ReadOnly               the export is read-only
│   └── RootSquashed       the export does not let root write
├── ResourceInUse          the datastore holds files of a registered VM
├── TaskBroke              a task ended half-way
├── TooManySnapshots       a snapshot on too many others
├── Timedout               the host waited in vain
├── ToolsUnavailable       the guest cannot be asked
└── UnknownModule          no such kernel module
"""


class Refusal(Exception):
    """A host's no: a sentence, and the fields of the vSphere fault."""

    fault = "HostConfigFault"

    def __init__(self, message: str, **fields: object) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields


class AlreadyExists(Refusal):
    """The very same NAS volume is mounted already; `name` is the mount's."""

    fault = "AlreadyExists"


class CannotDelete(Refusal):
    """What is never deleted: the root of a datastore; `file` is its datastore path."""

    fault = "CannotDeleteFile"


class DiskHasParent(Refusal):
    """The disk sits on another one."""

    fault = "InvalidDiskFormat"


class DuplicateName(Refusal):
    """The name is taken; `name` is it."""

    fault = "DuplicateName"


class FewResources(Refusal):
    """The host has less memory left than the VM has reserved; `requested` and `unreserved` in bytes."""

    fault = "InsufficientMemoryResourcesFault"


class FileAlreadyExists(Refusal):
    """The target is there; `file` is its datastore path."""

    fault = "FileAlreadyExists"


class FileLocked(Refusal):
    """A running VM holds the file; `file` is its datastore path."""

    fault = "FileLocked"


class FileNotFound(Refusal):
    """No such file or folder; `file` is its datastore path."""

    fault = "FileNotFound"


class HostConfigFault(Refusal):
    """The host's configuration cannot become so: a disk that takes no VMFS, say."""


class InvalidArgument(Refusal):
    """A value is wrong; `invalidProperty` names it."""

    fault = "InvalidArgument"


class InvalidDatastorePath(Refusal):
    """Not of the form `[NAME] path`; `datastorePath` is what came."""

    fault = "InvalidDatastorePath"


class InvalidName(Refusal):
    """The name holds characters that it may not; `name` is it."""

    fault = "InvalidName"


class InvalidPowerState(Refusal):
    """The VM's power state does not allow it; `requestedState` and `existingState` are vSphere's words."""

    fault = "InvalidPowerState"


class InvalidVmConfig(Refusal):
    """What a .vmx says is no VM; `property` is what is wrong in it."""

    fault = "InvalidVmConfig"


class InvalidState(Refusal):
    """The host is not in the state that the call needs."""

    fault = "InvalidState"


class NasRefused(Refusal):
    """The NAS would not serve the mount; the message is the sysinfo text that ESXi prints."""

    fault = "PlatformConfigFault"


class NotFound(Refusal):
    """No object of that name."""

    fault = "NotFound"


class NotSimulated(Refusal):
    """A real host would do it; the rehearsal does not, and says so."""

    fault = "NotSupported"


class ReadOnly(Refusal):
    """The export is read-only; `file` is the path that was to be written."""

    fault = "CannotAccessFile"


class RootSquashed(ReadOnly):
    """The export takes root for nobody; `file` is the path that was to be written."""


class DatastoreAway(Refusal):
    """The datastore's server does not answer; `file` is the path that was to be reached."""

    fault = "CannotAccessFile"


class NoDiskSpace(Refusal):
    """The datastore is full; `datastore` is its name, `file` the path that was to be written."""

    fault = "NoDiskSpace"


class PowerOnRefused(Refusal):
    """The machine of a VM does not start; `reason` says why."""

    fault = "GenericVmConfigFault"


class TaskBroke(Refusal):
    """A task ended half-way; `reason` says why."""

    fault = "SystemError"


class ResourceInUse(Refusal):
    """The object is in use; `type` and `name` say which."""

    fault = "ResourceInUse"


class TooManySnapshots(Refusal):
    """There are as many snapshots on each other as there may be."""

    fault = "TooManySnapshotLevels"


class Timedout(Refusal):
    """The host waited in vain."""

    fault = "Timedout"


class ToolsUnavailable(Refusal):
    """The guest cannot be asked: it is off, or its tools do not run."""

    fault = "ToolsUnavailable"


class UnknownModule(Refusal):
    """No kernel module of that name."""

    fault = "NotFound"
