"""A person's kubeconfig as a file: copied before, written whole, a link followed, and left alone when in doubt."""

from pathlib import Path

import pytest

from homelab.errors import HomelabError, UsageError
from homelab.formats.kubernetes.admin import Admin
from homelab.formats.kubernetes.kubeconfig import Entry
from homelab.ports.kubernetes import kubeconfig_file
from homelab.ports.kubernetes.kubeconfig_file import merge_into, usual_files

ENTRY = Entry("homelab", "https://192.168.2.100:6443", "api.lab.test", Admin("CA", "CERTIFICATE", "KEY"))
MINE = (
    "# with a comment\nkind: Config\ncurrent-context: work\ncontexts: [{name: work, context: {cluster: w, user: w}}]\n"
)


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


def test_a_missing_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / ".kube" / "config"
    written = merge_into(file, ENTRY)
    assert (written.changed, written.backup, written.current) == (True, None, "homelab")
    assert (mode(file), mode(file.parent)) == ("0o600", "0o700")
    assert [path.name for path in file.parent.iterdir()] == ["config"]


def test_what_was_there_is_kept_beside_it_and_the_second_time_nothing_is_touched(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(MINE, encoding="utf-8")
    file.chmod(0o644)
    written = merge_into(file, ENTRY)
    assert written.backup is not None
    assert written.backup.read_text(encoding="utf-8") == MINE
    assert (mode(file), mode(written.backup)) == ("0o600", "0o600")
    assert written.current == "work"
    before = file.stat()
    again = merge_into(file, ENTRY)
    assert (again.changed, again.backup) == (False, None)
    assert file.stat().st_ino == before.st_ino
    assert len(list(tmp_path.iterdir())) == 2


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "config").write_text(MINE, encoding="utf-8")
    link = tmp_path / "config"
    link.symlink_to("real/config")
    written = merge_into(link, ENTRY)
    assert link.is_symlink()
    assert "homelab" in (tmp_path / "real" / "config").read_text(encoding="utf-8")
    assert written.backup is not None
    assert written.backup.parent == (tmp_path / "real").resolve()


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe", MINE.replace("work", "homelab").encode()])
def test_what_cannot_be_merged_is_left_as_it_was(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config"
    file.write_bytes(content)
    with pytest.raises(UsageError) as told:
        merge_into(file, ENTRY)
    assert "left as it was" in told.value.advice
    assert file.read_bytes() == content
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_somebody_wrote_to_meanwhile_is_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config"
    file.write_text(MINE, encoding="utf-8")
    keep = kubeconfig_file._keep

    def and_somebody_writes(target: Path, before: bytes) -> Path:
        file.write_text(MINE + "preferences: {}\n", encoding="utf-8")
        return keep(target, before)

    monkeypatch.setattr(kubeconfig_file, "_keep", and_somebody_writes)
    with pytest.raises(HomelabError, match="at the same moment"):
        merge_into(file, ENTRY)
    assert file.read_text(encoding="utf-8") == MINE + "preferences: {}\n"


def test_a_folder_in_its_place_and_one_that_is_closed_are_told(tmp_path: Path) -> None:
    with pytest.raises(HomelabError, match="cannot be read"):
        merge_into(tmp_path, ENTRY)


def test_the_usual_files_are_kubectls(tmp_path: Path) -> None:
    assert usual_files({}) == [Path.home() / ".kube" / "config"]
    assert usual_files({"KUBECONFIG": f":{tmp_path}/a:{tmp_path}/b"}) == [tmp_path / "a", tmp_path / "b"]
    (tmp_path / "b").write_text(MINE, encoding="utf-8")
    first, *others = usual_files({"KUBECONFIG": f"{tmp_path}/a:{tmp_path}/b"})
    assert merge_into(first, ENTRY, others).current == "work"
