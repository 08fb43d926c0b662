"""The plan of `manifests`: a change for each object that differs, with the lines of the difference but for Secrets."""

from typing import Any

from homelab.engine.graph import full_graph
from homelab.engine.step import Blocked, Node
from homelab.formats.kubernetes.kubectl import Difference
from homelab.formats.kubernetes.manifests import Manifest, manifests_of
from homelab.output.documents import change_document
from homelab.ports.guest.look import GuestAway, GuestLook, Receipt
from homelab.steps.guests.manifests import ApplyManifest, Manifests, ManifestsState
from homelab.steps.product import STEP_NAMES, all_steps
from tests.helpers.sample import sample_lab

LAB = sample_lab(kubernetes={"version": "1.36.3", "manifests": ["web.yaml"]})
WHOLE = GuestLook("done", {"control_plane": Receipt("digest", ())}, "PEM")
CHANGED = ("@@ -3,3 +3,3 @@", " data:", "-  colour: red", "+  colour: blue", " kind: ConfigMap")


def manifest(kind: str = "ConfigMap", name: str = "a") -> Manifest:
    text = f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop}}\ndata: {{key: aHVudGVyMg==}}\n"
    [one] = manifests_of(text, "web.yaml")
    return one


def planned(*differ: tuple[Manifest, Difference], **more: Any) -> list[Any]:
    return list(Manifests().plan(LAB, "cp1", ManifestsState(WHOLE, differ, **more)))


def test_it_comes_last_and_only_where_manifests_are_named() -> None:
    assert STEP_NAMES[-2:] == ("kubernetes", "manifests")
    assert Manifests().targets(sample_lab()) == []
    edges = full_graph(LAB, all_steps())[Node("manifests", "cp1")]
    assert edges.after == {Node("kubernetes", "cp1")}
    assert edges.settled == {Node("kubernetes", "cp2"), Node("kubernetes", "cp3")}


def test_what_differs_is_shown_line_by_line() -> None:
    [change] = planned((manifest(), Difference(False, CHANGED)))
    assert isinstance(change, ApplyManifest)
    assert str(change) == "change ConfigMap shop/a"
    assert change.words.lines == CHANGED
    assert (change.words.before, change.words.after) == ("colour: red", "colour: blue")
    assert "kubectl delete configmap a -n shop" in change.words.undo
    assert not change.disruptive


def test_what_is_new_is_named_and_stands_in_its_file() -> None:
    [change] = planned((manifest(), Difference(True, ("@@ -0,0 +1,3 @@", "+data:", "+  key: aHVudGVyMg=="))))
    assert str(change) == "create ConfigMap shop/a"
    assert change.words.reason == "web.yaml:1 is not in the cluster yet"
    assert (change.words.before, change.words.lines) == ("absent", ())


def test_nothing_of_a_secret_is_shown_anywhere() -> None:
    lines = ("@@ -1,3 +1,3 @@", "-  key: aHVudGVyMg==", "+  key: b3RoZXI=")
    for new in (True, False):
        [change] = planned((manifest("Secret"), Difference(new, lines)))
        told = str(change_document(Node("manifests", "cp1"), change)) + repr(change)
        assert "aHVudGVyMg==" not in told
        assert "b3RoZXI=" not in told
    assert change.words.after == "what is in it is not shown"


def test_a_long_difference_is_cut_in_words() -> None:
    [change] = planned((manifest(), Difference(False, tuple(f"+  line{n}: x" for n in range(100)))))
    assert len(change.words.lines) == 61
    assert change.words.lines[-1] == "... and 40 more lines"


def test_it_waits_for_a_cluster_and_for_a_real_one() -> None:
    assert planned() == []
    [away] = Manifests().plan(LAB, "cp1", ManifestsState(GuestAway("VM cp1 exists")))
    assert away == Blocked("cp1", "VM cp1 exists")
    [bare] = Manifests().plan(LAB, "cp1", ManifestsState(GuestLook("done", {}, None)))
    assert isinstance(bare, Blocked)
    [standin] = planned(standin=True)
    assert "stand-in runs no manifests" in standin.until
