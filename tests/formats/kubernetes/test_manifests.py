"""Manifests as people write them: their objects, their order, and mistakes with their lines."""

import pytest
import yaml

from homelab.formats.kubernetes.manifests import NoManifest, in_waves, manifests_of

# As kubernetes.io/docs/tasks/extend-kubernetes/custom-resources shows a definition and one of its kind.
CRON = """\
# a kind of our own
apiVersion: stable.example.com/v1
kind: CronTab
metadata:
  name: my-new-cron-object
  namespace: jobs
spec: {cronSpec: "* * * * */5", image: my-awesome-cron-image}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: crontabs.stable.example.com
spec:
  group: stable.example.com
  names: {plural: crontabs, kind: CronTab}
---
---
apiVersion: v1
kind: Namespace
metadata: {name: jobs}
"""
# Values that another reader makes something else of: octal, a date, a truth value, text that looks like one, a block.
VALUES = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: odd, annotations: {when: 2026-01-01T00:00:00Z, quoted: "2026-01-01", mode: "0644"}}
data:
  on: "yes"
  café: |
    first
      second
  folded: >-
    one
    two
x: [0644, 1e3, ~, yes, .5, "007", &same {a: 1}, *same]
"""


def test_namespaces_and_kinds_go_first_and_others_in_their_order() -> None:
    found = manifests_of(CRON, "cron.yaml")
    assert [(one.label, one.line) for one in found] == [
        ("CronTab jobs/my-new-cron-object", 2),
        ("CustomResourceDefinition crontabs.stable.example.com", 9),
        ("Namespace jobs", 18),
    ]
    assert [one.kind for one in in_waves(found)] == ["CustomResourceDefinition", "Namespace", "CronTab"]
    cron, definition, namespace = found
    assert cron.needs(definition)
    assert cron.needs(namespace)
    assert not namespace.needs(definition)
    assert not definition.needs(cron)


def test_what_is_sent_is_what_was_written() -> None:
    [one] = manifests_of(VALUES, "odd.yaml")
    assert yaml.load(one.text, yaml.BaseLoader) == yaml.load(VALUES, yaml.BaseLoader)
    assert yaml.safe_load(one.text) == yaml.safe_load(VALUES)
    assert "!!" not in one.text
    assert "café" in one.text


def test_a_list_is_its_items_and_json_is_yaml() -> None:
    text = '{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Secret", "metadata": '
    text += '{"name": "a"}, "stringData": {"password": "hunter2"}}]}'
    [one] = manifests_of(text, "a.json")
    assert (one.label, one.is_secret, one.secrets) == ("Secret a", True, ("hunter2",))
    assert "hunter2" not in repr(one)
    assert one.file_names == {"v1.Secret.default.a", "v1.Secret..a"}


def test_kubectls_names_of_an_object() -> None:
    text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\n"
    [one] = manifests_of(text, "web.yaml")
    assert "apps.v1.Deployment.shop.web" in one.file_names


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: [\n", 2, "this is not YAML"),
        ("apiVersion: v1\nkind: {{ .Values.kind }}\nmetadata: {name: a}\n", 2, "no kind"),
        ("\n\nkind: ConfigMap\nmetadata: {name: a}\n", 3, "no apiVersion"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\n# next\nhello\n", 6, "no apiVersion and no kind and no"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}\n", 1, "no metadata.name"),
        ("apiVersion: v1\nkind: List\nitems:\n- kind: Pod\n  metadata: {name: a}\n", 4, "no apiVersion"),
        ("kind: Kustomization\nresources: [a.yaml]\n", 1, "no apiVersion and no metadata.name"),
    ],
)
def test_what_is_no_manifest_is_told_with_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(NoManifest, match=said) as told:
        manifests_of(text, "wrong.yaml")
    assert told.value.line == line
    assert told.value.fix
