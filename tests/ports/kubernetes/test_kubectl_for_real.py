"""Manifests against a real API server, by the real kubectl: what differs, who goes first, and whose a field is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from homelab.errors import Refused, Unreachable
from homelab.formats.kubernetes.manifests import Manifest, in_waves, manifests_of
from homelab.ports.kubernetes.kubectl import Kubectl
from homelab.steps.guests.manifests import absent_first, compared
from tests.helpers.api_server import ControlPlane, api_server, lacks

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(300), pytest.mark.skipif(bool(lacks()), reason=lacks())]
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {colour: %s}\n"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: %s}\n"
KIND = """\
apiVersion: stable.example.com/v1
kind: CronTab
metadata: {name: mine, namespace: jobs}
spec: {cronSpec: "* * * * */5"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: in-it, namespace: jobs}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {cronSpec: {type: string}}}}
---
apiVersion: v1
kind: Namespace
metadata: {name: jobs}
"""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with api_server(tmp_path_factory.mktemp("api")) as plane:
        yield plane


def kubectl(plane: ControlPlane) -> Kubectl:
    return Kubectl(plane)  # type: ignore[arg-type]


def one(text: str) -> Manifest:
    [found] = manifests_of(text, "web.yaml")
    return found


def test_it_is_no_stand_in(plane: ControlPlane) -> None:
    assert not kubectl(plane).standin


def test_an_object_is_new_then_as_wanted_then_changed(plane: ControlPlane) -> None:
    red, blue = one(CONFIG_MAP % ("a", "red")), one(CONFIG_MAP % ("a", "blue"))
    assert kubectl(plane).diff([red])[red].new
    kubectl(plane).apply(red)
    assert kubectl(plane).diff([red]) == {}
    changed = kubectl(plane).diff([blue])[blue]
    assert not changed.new
    assert "-  colour: red" in changed.lines
    assert "+  colour: blue" in changed.lines


def test_a_secret_is_in_no_difference_and_no_argument(plane: ControlPlane) -> None:
    first, second = one(SECRET % "hunter2"), one(SECRET % "other2")
    new = kubectl(plane).diff([first])[first]
    assert new.new
    kubectl(plane).apply(first)
    changed = kubectl(plane).diff([second])[second]
    assert not changed.new
    told = "\n".join((*new.lines, *changed.lines, *plane.lines))
    assert "password" in told
    assert not any(secret in told for secret in ("hunter2", "other2", "aHVudGVyMg", "b3RoZXIy"))


def test_kinds_and_namespaces_go_first_and_all_of_it_takes(plane: ControlPlane) -> None:
    wanted = in_waves(manifests_of(KIND, "kind.yaml"))
    found = compared(kubectl(plane), wanted)
    assert [one.kind for one in wanted if found[one].new] == [
        "CustomResourceDefinition",
        "Namespace",
        "CronTab",
        "ConfigMap",
    ]
    assert absent_first(found, wanted) == set(wanted[2:])
    for each in wanted:
        kubectl(plane).apply(each)
    assert compared(kubectl(plane), wanted) == {}


def test_a_field_that_somebody_else_set_is_theirs(plane: ControlPlane) -> None:
    plane.kubectl("create", "configmap", "mine", "--from-literal=colour=green")
    mine = one(CONFIG_MAP % ("mine", "red"))
    for act in (
        lambda: kubectl(plane).diff([one(CONFIG_MAP % ("b", "red")), mine]),
        lambda: kubectl(plane).apply(mine),
    ):
        with pytest.raises(Refused, match="ConfigMap mine has fields that kubectl-create set otherwise") as refused:
            act()
        assert refused.value.where == "web.yaml:1"
    assert plane.kubectl("get", "configmap", "mine", "-o", "jsonpath={.data.colour}") == "green"


def test_what_is_not_taken_is_told_with_its_place(plane: ControlPlane) -> None:
    wrong = one("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: wrong}\ndatum: {a: b}\n")
    with pytest.raises(Refused, match=r"ConfigMap wrong is not taken: .*\.datum: field not declared in schema"):
        kubectl(plane).diff([one(CONFIG_MAP % ("c", "red")), wrong])
    unknown = one("apiVersion: example.org/v1\nkind: Nothing\nmetadata: {name: a}\n")
    with pytest.raises(Refused, match='no matches for kind "Nothing"'):
        kubectl(plane).diff([unknown])


def test_an_api_that_is_away_is_told_at_once(plane: ControlPlane, tmp_path: Path) -> None:
    elsewhere = tmp_path / "admin.conf"
    elsewhere.write_text(plane.admin.read_text(encoding="utf-8").replace(":6443", ":6444"), encoding="utf-8")
    away = ControlPlane(plane.inside, elsewhere, [])
    with pytest.raises(Unreachable, match="refused"):
        kubectl(away).diff([one(CONFIG_MAP % (name, "red")) for name in "abc"])
    assert len(away.lines) == 1
