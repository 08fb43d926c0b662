"""The lab as a picture: what is in it, where, and that every text stays in its box."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from homelab.checks.lab_look import LabLook
from homelab.output.lab_svg import lab_svg
from homelab.output.svg import SIZE, SMALL, fitted, in_lines, width_of
from tests.helpers.lab_looks import faulty, one_host_away, well

SVG = "{http://www.w3.org/2000/svg}"


def parsed(look: LabLook, width: int = 960) -> ElementTree.Element:
    return ElementTree.fromstring(lab_svg(look, width))


def boxes(picture: ElementTree.Element) -> dict[str, list[ElementTree.Element]]:
    """The groups by the name that they are of: a VM that is a control plane has two."""
    found: dict[str, list[ElementTree.Element]] = {}
    for group in picture.iter(f"{SVG}g"):
        found.setdefault(group.attrib["data-name"], []).append(group)
    return found


def frame(group: ElementTree.Element) -> tuple[float, float, float, float]:
    """Left, top, right, bottom."""
    box = next(group.iter(f"{SVG}rect"))
    x, y, width, height = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def texts(group: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in group.iter(f"{SVG}text")]


def is_inside(inner: ElementTree.Element, outer: ElementTree.Element) -> bool:
    (left, top, right, bottom), (x, y, to, down) = frame(outer), frame(inner)
    return left < x and top < y and to < right and down < bottom


@pytest.mark.parametrize("hosts", range(2, 9))
@pytest.mark.parametrize("width", [320, 390, 960, 1280])
def test_every_vm_lies_on_its_host_and_every_text_in_its_box(hosts: int, width: int) -> None:
    look = well(hosts)
    found = boxes(parsed(look, width))
    for row in look.vms:
        assert is_inside(found[row.name][-1], found[str(row.vm.host)][0]), row.name
    for name, groups in found.items():
        for group in groups:
            left, _, right, bottom = frame(group)
            for text in group.iter(f"{SVG}text"):
                kind = text.attrib.get("class", "")
                wide = width_of(text.text or "", SMALL if "small" in kind else SIZE, bold="bold" in kind.split())
                x = float(text.attrib["x"]) - (wide if text.attrib.get("text-anchor") == "end" else 0)
                assert left < x and x + wide < right and float(text.attrib["y"]) < bottom, (name, text.text)


def test_the_balancer_that_holds_the_address_is_marked_and_led_to() -> None:
    picture = parsed(well())
    marked = [name for name, [group, *_] in boxes(picture).items() if "marked" in next(iter(group)).attrib["class"]]
    assert marked == ["lb1"]
    [way] = [path for path in picture.iter(f"{SVG}path") if path.attrib["class"] == "way"]
    x, y = map(float, re.findall(r"L([\d.]+) ([\d.]+)", way.attrib["d"])[0])
    left, top, right, _ = frame(boxes(picture)["lb1"][0])
    assert left < x < right
    assert y == top
    assert "holds the VIP" in texts(boxes(picture)["lb1"][0])


def test_a_part_that_is_away_is_shown_with_its_reason_and_so_is_what_nobody_knows_then() -> None:
    found = boxes(parsed(one_host_away()))
    assert " ".join(texts(found["brix4"][0])).endswith("no TLS connection: No route to host")
    assert "away" in texts(found["brix4"][0])
    assert texts(found["lb1"][-1])[0] == "unknown"
    assert "brix4 cannot be asked" in texts(found["lb1"][-1])
    assert "on brix1, brix2 and brix3; brix4 cannot be asked" in texts(found["nas"][0])


def test_states_are_told_in_words_and_not_by_colours_alone() -> None:
    found = boxes(parsed(faulty()))
    told = {name: texts(groups[0])[0] for name, groups in found.items()}
    assert {name: told[name] for name in ("lb1", "lb2", "cp1", "cp2", "cp3", "nas", "brix1")} == {
        "lb1": "holds the VIP",
        "lb2": "away",
        "cp1": "not ready",
        "cp2": "ready, drained",
        "cp3": "ready",
        "nas": "away",
        "brix1": "on",
    }


def test_nothing_in_it_comes_from_elsewhere_and_it_has_both_kinds_of_colours() -> None:
    text = lab_svg(well())
    assert "prefers-color-scheme: dark" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"<script|href|url\(|@import|@font-face", text)


def test_what_a_host_says_is_text_and_secrets_are_none_of_it() -> None:
    look = well()
    rude = replace(look.hosts[0], answers=False, problem='</text><script>alert("swordfish")</script>\x1b[31m\n\ufffe')
    look = replace(look, hosts=(rude, *look.hosts[1:]))
    text = lab_svg(look, clean=lambda text: text.replace("swordfish", "********"))
    picture = ElementTree.fromstring(text)
    assert not list(picture.iter(f"{SVG}script"))
    assert "swordfish" not in text
    assert "\x1b" not in text
    assert "alert" in "".join(texts(boxes(picture)["brix1"][0]))


def test_a_text_that_does_not_fit_is_cut_and_told_whole_as_a_hint() -> None:
    look = well()
    name = "a-very-long-name-of-a-host-in-somebody-s-house.lab.home.arpa"
    look = replace(look, hosts=(replace(look.hosts[0], name=name), *look.hosts[1:]), vms=())
    group = boxes(parsed(look))[name][0]
    shown = next(text for text in group.iter(f"{SVG}text") if (text.text or "").startswith("a-very"))
    assert (shown.text or "").endswith("…")
    assert shown.findtext(f"{SVG}title") == name


# As Chromium 156 measured them with DejaVu Sans, the widest of the usual fonts, at 13 px: plain, bold.
MEASURED = {
    "brix1 192.168.2.11": (124.1, 138.4),
    "ESXi 6.7.0, up 59 d 12 h": (157.1, 175.1),
    "Kubernetes v1.36.3, held by lb1": (207.5, 234.5),
    "no TLS connection: No route to host": (233.6, 264.3),
    "WWWW": (51.4, 57.4),
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ": (227.1, 255.2),
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~": (232.9, 248.9),
}


def test_texts_are_measured_from_above() -> None:
    for text, (plain, bold) in MEASURED.items():
        assert plain <= width_of(text) < 1.2 * plain
        assert bold <= width_of(text, bold=True) < 1.25 * bold


def test_a_text_is_cut_or_parted_where_it_does_not_fit() -> None:
    assert fitted("mmmmmmmm", 60) == "mmm…"
    assert fitted("mm", 60) == "mm"
    assert in_lines("no TLS connection: No route to host", 130, 3) == ["no TLS connection:", "No route to host"]
    assert in_lines("no TLS connection: No route to host", 80, 3) == ["no TLS", "connection:", "No route t…"]
    assert in_lines("one two three", 30, 2) == ["one", "tw…"]
    assert in_lines("", 100, 3) == []
