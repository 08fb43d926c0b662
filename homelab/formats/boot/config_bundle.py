"""The copy of a host's configuration, as `BackupFirmwareConfiguration` offers it: whether it is one. Pure."""

import io
import tarfile
import zlib

# A real one is below a megabyte; more is not a configuration.
MOST_BYTES = 256 << 20
BLOCK = 1 << 20


def bundle_problem(content: bytes) -> str | None:
    """Why this is no copy of a configuration: empty, cut off, no gzip tar. None when it is whole."""
    if not content:
        return "it is empty"
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            names = [member.name for member in archive if _whole(archive, member)]
            # The end of the gzip stream has the checksum of all before it; tarfile stops reading at its own end.
            while archive.fileobj is not None and archive.fileobj.read(BLOCK):
                pass
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        return f"it is no whole gzip tar ({error})"
    return None if names else "it is a gzip tar without files"


def _whole(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bool:
    if member.size > MOST_BYTES:
        raise tarfile.ReadError(f"{member.name} is said to have {member.size} bytes")
    file = archive.extractfile(member)
    if file is None:
        return False
    if len(file.read()) != member.size:
        raise tarfile.ReadError(f"{member.name} is cut off")
    return True
