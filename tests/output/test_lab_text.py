"""The lab as a drawing of lines."""

from dataclasses import replace

import pytest

from homelab.checks.lab_look import LabLook
from homelab.output.lab_text import drawing, plain
from homelab.output.lab_words import changes, size
from homelab.output.signs import ASCII, UNICODE
from tests.helpers.lab_looks import NOW, faulty, one_host_away, well

ALL = [well(2), well(8), one_host_away(), faulty()]


@pytest.mark.parametrize("look", ALL, ids=["two", "eight", "away", "faulty"])
@pytest.mark.parametrize("width", [60, 80, 140])
def test_no_line_is_wider_than_the_terminal(look: LabLook, width: int) -> None:
    lines = ["".join(text for text, _ in line) for line in drawing(look, width, UNICODE)]
    assert max(map(len, lines)) <= width
    names = [row.name for row in look.hosts] + [row.name for row in look.vms] + [row.name for row in look.balancers]
    for name in names:
        assert any(name in line for line in lines), name


def test_a_terminal_without_unicode_gets_none() -> None:
    assert "\n".join(plain(faulty(), ASCII)).isascii()


def test_vms_stand_below_their_host_and_what_is_away_tells_why() -> None:
    lines = plain(one_host_away(), UNICODE)
    assert lines[0] == "192.168.2.100:6443  api.lab.home.arpa  ready  Kubernetes v1.36.3, held by lb1"
    assert lines[1].split()[1:5] == ["lb1", "holds", "the", "VIP"]
    at = next(number for number, line in enumerate(lines) if line.startswith("brix1"))
    assert lines[at] == "brix1  on  192.168.2.11  ESXi 6.7.0, up 59 d 12 h  8 GiB of 32 GiB in use"
    assert [line.split()[1] for line in lines[at + 1 : at + 3]] == ["cp1", "lb2"]
    away = lines.index("brix4  away  192.168.2.14")
    assert lines[away + 1] == "   no TLS connection: No route to host"
    nowhere = lines.index("On no host that answers")
    assert lines[nowhere + 1].split()[1:3] == ["lb1", "unknown"]
    assert lines[nowhere + 2].strip() == "brix4 cannot be asked"


def test_a_drained_server_is_told_with_what_ends_it() -> None:
    lines = plain(faulty(), UNICODE)
    assert lines[-1] == "! cp2 is drained; `homelab lb ready cp2` ends that"
    assert "/readyz answers 500" in " ".join(lines)


def test_what_differs_between_two_looks_is_told_as_sentences() -> None:
    before, after = well(), one_host_away()
    assert changes(before, replace(before, at=NOW)) == []
    assert changes(before, after) == [
        "host brix4: on -> away",
        "VM lb1: on -> unknown",
        "datastore nas: mounted -> partly unknown",
    ]


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0"), (512, "512 B"), (1 << 20, "1 MiB"), (5 << 29, "2.5 GiB"), (999 << 30, "999 GiB"), (1 << 40, "1 TiB")],
)
def test_sizes(count: int, words: str) -> None:
    assert size(count) == words
