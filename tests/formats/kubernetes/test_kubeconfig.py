"""A lab's cluster in a person's kubeconfig: what is foreign stays, and kubectl itself reads what was written."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from homelab.formats.kubernetes.admin import Admin
from homelab.formats.kubernetes.kubeconfig import Entry, NoKubeconfig, Taken, current_context, merged

KUBECTL = shutil.which("kubectl")
PEM = "-----BEGIN {0}-----\nQUJD\n-----END {0}-----\n"
ADMIN = Admin(PEM.format("CERTIFICATE"), PEM.format("CERTIFICATE"), PEM.format("PRIVATE KEY"))
ENTRY = Entry("homelab", "https://192.168.2.100:6443", "api.lab.home.arpa", ADMIN)
# The shapes of others' files: minikube's extensions, a cloud's exec plug-in, an auth-provider with a date, braces,
# as kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig and client-go's tests have them.
FOREIGN = """\
# my clusters
apiVersion: v1
kind: Config
preferences: {colors: true}
current-context: work
clusters:
- cluster:
    certificate-authority: /home/USER/.minikube/ca.crt
    extensions:
    - extension: {last-update: "Mon, 02 Jun 2025 10:00:00 CEST", provider: minikube.sigs.k8s.io, version: v1.33.1}
      name: cluster_info
    server: https://192.168.49.2:8443
  name: minikube
- {name: work, cluster: {server: "https://work.example:443", insecure-skip-tls-verify: true}}
contexts:
- context: {cluster: minikube, namespace: default, user: minikube}
  name: minikube
- context:
    cluster: work
    user: work
  name: work
users:
- name: minikube
  user:
    client-certificate: /home/USER/.minikube/client.crt
    client-key: /home/USER/.minikube/client.key
- name: work
  user:
    auth-provider:
      config: {access-token: "007", expiry: "2019-03-29T18:30:20Z", when: 2019-03-29T18:30:20Z}
      name: gcp
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: aws-iam-authenticator
      args: [token, -i, "0123"]
      provideClusterInfo: yes
"""


def as_kubectl_reads(text: str, folder: Path) -> dict[str, Any]:
    """What kubectl makes of a kubeconfig; it refuses what it does not understand."""
    if KUBECTL is None:
        pytest.skip("kubectl is not installed here")
    file = folder / "config"
    file.write_text(text, encoding="utf-8")
    command = [KUBECTL, "--kubeconfig", str(file), "config", "view", "--raw", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def without_ours(read: dict[str, Any]) -> dict[str, Any]:
    parts = ("clusters", "contexts", "users")
    return read | {part: [one for one in read[part] if one["name"] != "homelab"] for part in parts}


def test_a_new_one_is_whole_to_kubectl(tmp_path: Path) -> None:
    new = merged("", ENTRY)
    assert new.current == "homelab"
    read = as_kubectl_reads(new.text or "", tmp_path)
    assert read["current-context"] == "homelab"
    [cluster] = read["clusters"]
    assert cluster["name"] == "homelab"
    assert cluster["cluster"]["server"] == "https://192.168.2.100:6443"
    assert cluster["cluster"]["tls-server-name"] == "api.lab.home.arpa"
    assert read["contexts"] == [{"name": "homelab", "context": {"cluster": "homelab", "user": "homelab"}}]
    assert set(read["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}


def test_what_is_foreign_stays_to_kubectl_as_it_was(tmp_path: Path) -> None:
    new = merged(FOREIGN, ENTRY)
    assert new.current == "work"
    before, after = (as_kubectl_reads(text, tmp_path) for text in (FOREIGN, new.text or ""))
    assert without_ours(after) == before
    assert [one["name"] for one in after["contexts"]] == ["homelab", "minikube", "work"]


def test_what_is_foreign_stays_value_by_value() -> None:
    text = merged(FOREIGN, ENTRY).text or ""
    assert without_ours(yaml.safe_load(text)) == yaml.safe_load(FOREIGN)
    assert without_ours(yaml.load(text, yaml.BaseLoader)) == yaml.load(FOREIGN, yaml.BaseLoader)
    assert "!!" not in text


@pytest.mark.parametrize("text", [FOREIGN, "", json.dumps(yaml.load(FOREIGN, yaml.BaseLoader))])
def test_the_second_time_nothing_is_written(text: str) -> None:
    first = merged(text, ENTRY)
    assert first.text
    assert merged(first.text, ENTRY).text is None


def test_a_cluster_that_was_made_anew_takes_the_place_of_its_former_self() -> None:
    former = merged(FOREIGN, ENTRY).text or ""
    read = yaml.safe_load(former)
    context = next(one["context"] for one in read["contexts"] if one["name"] == "homelab")
    context["namespace"] = "mine"
    new = Entry("homelab", ENTRY.server, ENTRY.server_name, Admin(ADMIN.ca + ADMIN.ca, ADMIN.certificate, ADMIN.key))
    after = yaml.safe_load(merged(yaml.safe_dump(read), new).text or "")
    names = [[one["name"] for one in after[part]] for part in ("clusters", "contexts", "users")]
    assert names == [["minikube", "work", "homelab"]] * 3
    assert (
        after["clusters"][2]["cluster"]["certificate-authority-data"]
        != read["clusters"][2]["cluster"]["certificate-authority-data"]
    )
    assert after["contexts"][2]["context"] == {"cluster": "homelab", "user": "homelab", "namespace": "mine"}


def test_the_name_of_somebody_elses_cluster_is_left_to_them() -> None:
    other = FOREIGN.replace("name: minikube", "name: homelab")
    with pytest.raises(Taken, match=r"called homelab stands in it with another server, https://192.168.49.2:8443"):
        merged(other, ENTRY)
    with pytest.raises(Taken, match="a user called homelab stands in it, without a cluster"):
        merged("users: [{name: homelab, user: {token: abc}}]", ENTRY)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hello\n", "no mapping"),
        ("a: [\n", r"no YAML \(line 2\)"),
        ("kind: Deployment\nclusters: []\n", "its kind is Deployment"),
        ("name: my service\nport: 80\n", "neither clusters nor contexts nor users"),
        ("clusters: {homelab: {}}\n", "its clusters are no list"),
        ("users: [{user: {token: secret-of-mine}}]\n", "its users are no list of entries with names"),
        ("kind: Config\n---\nkind: Config\n", "no YAML"),
    ],
)
def test_what_is_no_kubeconfig_is_told_and_never_quoted(text: str, said: str) -> None:
    with pytest.raises(NoKubeconfig, match=said) as told:
        merged(text, ENTRY)
    assert "secret" not in str(told.value)


def test_the_current_context_may_be_named_in_another_file() -> None:
    new = merged("", ENTRY, elsewhere=current_context(FOREIGN))
    assert new.current == "work"
    assert "current-context" not in (new.text or "")
    assert current_context("no: kubeconfig") == ""
