"""What kubectl prints, recorded from kubectl 1.32.4 and an API server 1.36.3, GNU diff 3.8."""

from homelab.formats.kubernetes.kubectl import Difference, complaint, conflicts, differences, hidden, is_away

LIVE, MERGED, TIME = "/tmp/LIVE-3732316567", "/tmp/MERGED-3895726442", "2026-11-30 14:55:08.022878306 +0000"


def head(name: str) -> str:
    return f"diff -u -N {LIVE}/{name} {MERGED}/{name}\n--- {LIVE}/{name}\t{TIME}\n+++ {MERGED}/{name}\t{TIME}\n"


CHANGED = """\
@@ -1,6 +1,6 @@
 apiVersion: v1
 data:
-  colour: red
+  colour: blue
   text: x
 kind: ConfigMap
 metadata:
"""
MASKED = """\
@@ -1,6 +1,6 @@
 apiVersion: v1
 data:
-  password: '*** (before)'
+  password: '*** (after)'
 kind: Secret
"""
NEW_NAMESPACE = """\
@@ -0,0 +1,3 @@
+apiVersion: v1
+kind: Namespace
+--- a line of its own
"""
NEW_SECRET = """\
@@ -1 +1,4 @@
-null
+apiVersion: v1
+data:
+  password: '***'
"""
CONFLICT = """\
W1130 14:55:10.841726   21893 diff.go:723] Object (/v1, Kind=ConfigMap: mine) keeps changing, diffing without lock
Error from server (Conflict): Apply failed with 1 conflict: conflict with "kubectl-create" using v1: .data.colour
"""
CONFLICT_OF_APPLY = """\
error: Apply failed with 1 conflict: conflict with "kubectl-create" using v1: .data.colour
Please review the fields above--they currently have other managers. Here
are the ways you can resolve this warning:
* If you intend to manage all of these fields, please re-run the apply
  command with the `--force-conflicts` flag.
"""
AWAY = """\
E1130 14:55:28.397643   22690 memcache.go:265] "Unhandled Error" err="couldn't get current server API group list"
error: unable to recognize "STDIN": Get "https://10.99.0.11:6444/api?timeout=32s": dial tcp 10.99.0.11:6444: connect: \
connection refused
"""


def test_differences_are_known_by_the_names_of_their_objects() -> None:
    said = head("v1.ConfigMap.default.a") + CHANGED + head("v1.Secret.default.s") + MASKED
    assert differences(said) == {
        "v1.ConfigMap.default.a": Difference(False, tuple(CHANGED.splitlines())),
        "v1.Secret.default.s": Difference(False, tuple(MASKED.splitlines())),
    }
    assert differences("") == {}
    assert differences('error: unknown command "diff" for "kubectl"\n') == {}


def test_what_is_new_is_known_by_its_first_hunk_a_secret_too() -> None:
    found = differences(head("v1.Namespace..shop") + NEW_NAMESPACE + head("v1.Secret.default.s") + NEW_SECRET)
    assert found["v1.Namespace..shop"] == Difference(True, tuple(NEW_NAMESPACE.splitlines()))
    assert found["v1.Secret.default.s"].new


def test_a_conflict_names_who_set_it() -> None:
    for said in (CONFLICT, CONFLICT_OF_APPLY):
        assert conflicts(said) == ["kubectl-create"]
        assert complaint(said).endswith(
            'Apply failed with 1 conflict: conflict with "kubectl-create" using v1: .data.colour'
        )
    # As apimachinery words several (managedfields/internal/conflict.go).
    several = 'Apply failed with 3 conflicts: conflicts with "helm" using apps/v1:\n- .spec.replicas\n- .spec.paused\n'
    assert conflicts(several + 'conflicts with "kubectl-edit" using v1:\n- .metadata.labels') == [
        "helm",
        "kubectl-edit",
    ]
    assert conflicts('The Secret "frozen" is invalid: data: Forbidden: field is immutable') == []


def test_no_answer_is_told_from_a_no() -> None:
    assert is_away(AWAY)
    assert complaint(AWAY).startswith("unable to recognize")
    assert is_away("The connection to the server 10.0.0.1:6443 was refused - did you specify the right host or port?")
    assert not is_away('Error from server (NotFound): namespaces "shop" not found\n')
    assert not is_away(CONFLICT)


def test_nothing_secret_is_told() -> None:
    assert hidden('Invalid value: "hunter2": it is hunter', ("hunter", "hunter2")) == 'Invalid value: "***": it is ***'
