"""Why a program of Ansible's ended, in the forms that its releases have."""

from pathlib import Path

import pytest

from homelab.errors import HomelabError
from homelab.ports.ansible.complaints import complaint
from tests.ports.ansible.test_plays import play, run

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("[WARNING]: x\n[ERROR]: the role 'x' was not found.\nOrigin: a", "the role 'x' was not found"),
        ("ERROR! Unexpected Exception", "Unexpected Exception"),
        (
            "ERROR: Ansible requires the locale encoding to be UTF-8; Detected None.",
            "Ansible requires the locale encoding to be UTF-8; Detected None",
        ),
        (
            "Traceback (most recent call last):\n  File x\nModuleNotFoundError: No module named 'jinja2'",
            "ModuleNotFoundError: No module named 'jinja2'",
        ),
        ("PLAY [all]\nok: [cp1]", ""),
    ],
)
def test_the_first_line_that_says_why(printed: str, said: str) -> None:
    assert complaint(printed) == said


def test_a_play_that_ends_before_it_begins_says_why(tmp_path: Path) -> None:
    it = play(tmp_path, "- no_such_module_of_anybody: {}\n")
    with pytest.raises(HomelabError, match=r"before it did anything on cp1: .*no_such_module_of_anybody"):
        run(it)
