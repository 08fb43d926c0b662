"""What kubernetes_manifests names: files, and the YAML and JSON files of folders, as `kubectl -f` takes them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from homelab.errors import Mistake, UsageError
from homelab.formats.kubernetes.manifests import Manifest, NoManifest, manifests_of
from homelab.ports.files.named import named_file, text_of

ENDINGS = (".yaml", ".yml", ".json")


Key = tuple[str, str, str, str]
Found = Manifest | Mistake


def read_manifests(inventory: Path, names: Sequence[str]) -> list[Manifest]:
    """All objects of these files and folders, relative to the inventory's folder, in their order. Raises UsageError."""
    found: list[Manifest] = []
    for _, result in _read(inventory, names):
        if isinstance(result, Mistake):
            raise UsageError(result.what, where=result.where or "kubernetes_manifests", advice=result.fix)
        found.append(result)
    return found


def mistakes(inventory: Path, names: Sequence[str]) -> list[tuple[int, Mistake]]:
    """What is wrong with them, with the index of the name; a mistake without a place is about the name itself."""
    return [(index, result) for index, result in _read(inventory, names) if isinstance(result, Mistake)]


def _read(inventory: Path, names: Sequence[str]) -> Iterator[tuple[int, Found]]:
    first: dict[Key, Manifest] = {}
    for index, name in enumerate(names):
        try:
            files = _files(named_file(inventory, name))
        except OSError as error:
            what, fix = f"{name} cannot be read: {error.strerror or error}", "correct the path or its rights"
            yield index, Mistake("", what, f"{fix}; a path starts at the inventory's folder")
            continue
        if not files:
            yield index, Mistake("", f"{name} is a folder without YAML or JSON files", "name one that has some")
        for file in files:
            yield from ((index, result) for result in _of_file(file, first))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix in ENDINGS)
    path.stat()
    return [path]


def _of_file(file: Path, first: dict[Key, Manifest]) -> Iterator[Found]:
    try:
        for one in manifests_of(text_of(file), str(file)):
            other = first.setdefault((one.group, one.kind, one.namespace, one.name), one)
            if other is not one:
                what = f"{one.label} is written twice, here and in {other.file}:{other.line}"
                yield Mistake(f"{one.file}:{one.line}", what, "delete one of the two")
            yield one
    except NoManifest as error:
        yield Mistake(f"{file}:{error.line}", error.what, error.fix)
    except UsageError as error:
        yield Mistake(str(file), error.what, "make it a readable file")
