"""`.homelab/`: where it lies, its modes, what never stands in it, and what is said when it cannot be written."""

import json
import subprocess
from pathlib import Path

import pytest

from homelab.errors import HomelabError, HostFault, UsageError
from homelab.ports.files.home import HomeFiles, home_now, home_of
from homelab.ports.files.home_folder import close_home
from homelab.ports.files.private import told
from homelab.ports.files.record import recorded
from homelab.rehearsal.host.backup import _tar


def test_home_lies_beside_the_first_inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = tmp_path / "packaged" / "inventory"
    mine, overlay = tmp_path / "lab" / "inventory", tmp_path / "lab" / ".homelab" / "rehearsal" / "inventory"
    assert home_of([mine], packaged) == tmp_path / "lab" / ".homelab"
    assert home_of([mine, overlay], packaged) == overlay.parent
    monkeypatch.chdir(tmp_path)
    assert home_of([packaged], packaged) == tmp_path / ".homelab"


def test_home_may_be_named_and_a_rehearsal_keeps_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged, mine = tmp_path / "packaged", tmp_path / "lab" / "inventory"
    overlay = tmp_path / "lab" / ".homelab" / "rehearsal" / "inventory"
    monkeypatch.setenv("HOMELAB_HOME", str(tmp_path / "kept"))
    assert home_now([mine], packaged) == tmp_path / "kept"
    assert home_now([mine, overlay], packaged) == overlay.parent
    monkeypatch.delenv("HOMELAB_HOME")
    assert home_now([mine], packaged) == tmp_path / "lab" / ".homelab"


def test_modes_and_masks(tmp_path: Path) -> None:
    files = HomeFiles(tmp_path / ".homelab", secrets=("pass-word",))
    files.append("run.log", "it is pass-word\n")
    files.trust.own_key()
    files.trust.meet_certificate("brix1", "192.168.2.11", 443, "SHA256:00")
    assert files.log.read_text() == "it is ********\n"
    for path in (files.log, files.trust.key, files.trust.pin_file, files.home / "files.lock"):
        assert path.stat().st_mode & 0o777 == 0o600, path
    for folder in (files.home, files.home / "logs", files.log_folder):
        assert folder.stat().st_mode & 0o777 == 0o700, folder


def test_nothing_is_made_before_the_first_write(tmp_path: Path) -> None:
    files = HomeFiles(tmp_path / ".homelab")
    assert files.trust.pins() == {}
    assert files.trust.host_keys_of({"192.168.2.11"}) == ()
    assert not files.home.exists()


def test_git_passes_the_folder_over(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    HomeFiles(tmp_path / ".homelab").trust.own_key()
    HomeFiles(tmp_path / "other" / ".homelab" / "rehearsal").trust.own_key()
    status = ["git", "-C", str(tmp_path), "status", "--porcelain", "--untracked-files=all"]
    assert subprocess.run(status, capture_output=True, text=True, check=True).stdout == ""
    assert (tmp_path / "other" / ".homelab").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_was_open_is_closed_and_that_is_told_once(tmp_path: Path) -> None:
    files = HomeFiles(tmp_path / ".homelab")
    files.trust.own_key()
    files.append("run.log", "x\n")
    for path in (files.home, files.trust.key, files.log, files.log_folder):
        path.chmod(0o755)
    [said] = files.close_up()
    assert f"{files.home} was open to others" in said
    for path in (files.home, files.trust.key, files.log, files.log_folder):
        assert not path.stat().st_mode & 0o077, path
    assert files.close_up() == []


def test_only_what_is_ours_is_closed(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / ".homelab", tmp_path / "elsewhere"
    system = home / "rehearsal" / "lab" / "guest" / "bin"
    system.mkdir(parents=True)
    elsewhere.write_text("")
    (home / "logs").mkdir()
    (home / "logs" / "link").symlink_to(elsewhere)
    for path in (system, elsewhere):
        path.chmod(0o755)
    close_home(home)
    assert system.stat().st_mode & 0o777 == elsewhere.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    "secret", ['pa"ss\\wörd', "a&b<c>'d", "zwölf%/ Boote", "line\nfeed-of-a-block\n", "true", "2026"]
)
def test_a_secret_is_masked_however_it_is_written_and_json_stays_json(tmp_path: Path, secret: str) -> None:
    files = HomeFiles(tmp_path / ".homelab", secrets=(secret,))
    answer = f"said: {secret}; as JSON: {json.dumps({'password': secret})}; {json.dumps(json.dumps([secret]))}"
    with recorded(files, "ssh", "brix1", answer, writes=True):
        pass
    files.append("run.log", f"{answer}\n")
    files.append("events.jsonl", json.dumps({"event": "failed", "what": answer, "at": 2026, "ok": True}) + "\n")
    record, event = ((files.log_folder / name).read_text() for name in ("record.jsonl", "events.jsonl"))
    assert json.loads(record)["writes"] is True
    assert json.loads(event) | {"what": ""} == {"event": "failed", "what": "", "at": 2026, "ok": True}
    for text in (json.loads(record)["what"], json.loads(event)["what"], files.log.read_text()):
        assert secret not in text
        assert json.dumps(secret)[1:-1] not in text
        assert text.count("********") >= 3


def test_empty_and_very_short_secrets_leave_the_log_readable(tmp_path: Path) -> None:
    files = HomeFiles(tmp_path / ".homelab", secrets=("", "ab"))
    files.append("run.log", "abort the lab, password ab\n")
    assert files.log.read_text() == "abort the lab, password ********\n"
    assert files.masks.short


def test_a_log_shows_escape_sequences_and_takes_any_bytes(tmp_path: Path) -> None:
    files = HomeFiles(tmp_path / ".homelab")
    files.append("run.log", "name \x1b[2J\x9b31m and \udcff\n")
    assert files.log.read_text(encoding="utf-8") == "name \u241b[2J\\x9b31m and \\xff\n"


def test_a_disk_that_is_full_and_a_folder_that_is_barred_are_told_in_words(tmp_path: Path) -> None:
    """/dev/full is the kernel's own full disk."""
    with (
        pytest.raises(HomelabError, match="full cannot be written: No space left") as full,
        told(Path("/dev/full"), "written"),
    ):
        Path("/dev/full").write_text("x")
    assert full.value.advice.startswith("Make room")
    (tmp_path / "file").write_text("")
    with pytest.raises(HomelabError, match=r"\.homelab cannot be made: Not a directory"):
        HomeFiles(tmp_path / "file" / ".homelab").trust.own_key()
    with pytest.raises(UsageError, match="cannot be read: Operation not permitted"), told(tmp_path, "read"):
        raise PermissionError(1, "Operation not permitted")


def test_a_backup_of_another_host_or_of_nothing_is_no_backup(tmp_path: Path) -> None:
    whole = _tar({"state.tgz": b"state"})
    files = HomeFiles(tmp_path)
    files.keep_backup("esx-2", whole)
    assert files.backups_of("esx") == []
    assert len(files.backups_of("esx-2")) == 1
    for number, content in enumerate((b"", whole[:-9], b"<html>")):
        (tmp_path / "backups" / f"esx-20260101T00000{number}.000000Z.tgz").write_bytes(content)
    assert files.backups_of("esx") == []
    kept = files.keep_backup("esx", whole)
    assert files.backups_of("esx") == [kept]
    with pytest.raises(HostFault, match="it is empty"):
        files.keep_backup("esx", b"")
