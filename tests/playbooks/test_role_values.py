"""What goes into a role is the same, whether homelab hands it over or a play computes it from the inventory."""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from homelab.inventory import read_lab
from homelab.lab import Lab, LoadBalancer
from homelab.ports.ansible.play import plain
from homelab.steps.guests.balancer_kinds import KINDS, roles_of, texts_of, values_of
from homelab.steps.guests.role_values import (
    RoleValues,
    cluster_ca,
    control_plane,
    haproxy,
    keepalived,
    kubernetes_node,
    nfs_server,
    pod_network,
    variables,
    worker,
)
from tests.helpers.checkout import INVENTORIES, ROOT

from .conftest import PLAYBOOKS

BALANCERS = ("haproxy", "nginx", "nftables", "checker", "keepalived")
ROLES = ("nfs_server", *BALANCERS, "kubernetes_node", "cluster_ca", "control_plane", "worker", "pod_network")
DIFFERENT = INVENTORIES / "different" / "hosts.yml"
WHOLE_NAMES = INVENTORIES / "whole_names" / "hosts.yml"
PEM = "-----BEGIN CERTIFICATE-----\nOurs\n-----END CERTIFICATE-----\n"
SLURPED = {"load_balancer_slurped": {"content": base64.b64encode(PEM.encode()).decode()}}
# One of few choices, or what goes with layer 7, which needs a cluster of our own. Both labs are read with every kind.
SAME = (
    *("keepalived_priority", "checker_kind", "cluster_ca_serves_balancers"),
    *("haproxy_certificates_from", "nginx_certificates_from", "nginx_ca"),
)
# Found on a guest where nothing is said.
INTERFACE = {"keepalived_interface": ""}


def options_of(role: str) -> dict[str, Any]:
    """The options that a role's own description has."""
    text = (PLAYBOOKS / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    found = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    assert isinstance(found, dict)
    return found


def only_told(folder: Path) -> Path:
    """A copy of the playbooks in which each role writes down what went into it, and does nothing else."""
    copy = folder / "playbooks"
    shutil.copytree(PLAYBOOKS, copy)
    for playbook in copy.glob("*.yml"):
        plays = yaml.safe_load(playbook.read_text(encoding="utf-8"))
        # They ask machines.
        playbook.write_text(yaml.safe_dump([{**play, "pre_tasks": []} if "roles" in play else play for play in plays]))
    for tasks in copy.glob("roles/*/tasks/main.yml"):
        role = tasks.parts[-3]
        names = [name for name in options_of(role) if not name.endswith("_receipt_inputs")]
        names += [f"{role}_files"] if role in BALANCERS else []
        names += [f"{role}_node"] if role in ("cluster_ca", "control_plane") else []
        told = "{{ {" + ", ".join(f"'{name}': {name}" for name in names) + "} | to_json }}"
        path = f"{folder}/told/{role} {{{{ inventory_hostname }}}}.json"
        tasks.write_text(yaml.safe_dump([{"ansible.builtin.copy": {"content": told, "dest": path}}]))
    (folder / "told").mkdir()
    return copy


def run(folder: Path, playbook: str, inventory: Path, *given: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    """What every role of a playbook was told on every host, by (role, host); ansible-core alone, no homelab."""
    path = only_told(folder) / playbook
    here = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable}
    command = [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), str(path)]
    for extra in (here, *given):
        command += ["-e", json.dumps(extra)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHONPATH"))}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return {
        tuple(file.stem.split()): json.loads(file.read_text(encoding="utf-8")) for file in (folder / "told").iterdir()
    }


def without_files(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if not name.endswith("_files")}


def as_json(values: RoleValues) -> dict[str, Any]:
    """The variables as they are after the way through JSON: tuples are lists there."""
    read = json.loads(json.dumps(variables(values)))
    assert isinstance(read, dict)
    return read


def wanted(lab: Lab, ca: str) -> Iterator[tuple[str, RoleValues]]:
    """Every host with what homelab hands over to each of its roles."""
    yield lab.nfs[0].name, nfs_server(lab)
    for balancer in lab.load_balancers:
        for values in values_of(lab, balancer, ca):
            yield balancer.name, values
    yield lab.control_plane[0].name, cluster_ca(lab)
    for vm in lab.control_plane:
        yield vm.name, kubernetes_node(lab)
        yield vm.name, control_plane(lab, vm.name, lab.control_plane[0].name)
        yield vm.name, pod_network(lab, vm.name, lab.control_plane[0].name)
    for vm in lab.workers:
        yield vm.name, kubernetes_node(lab)
        yield vm.name, worker(lab, vm.name, lab.control_plane[0].name)
        yield vm.name, pod_network(lab, vm.name, lab.control_plane[0].name)


@pytest.fixture(
    params=[
        "whole names",
        *(pytest.param(name, marks=pytest.mark.thorough) for name in ("nginx", "nftables", "sample", "different")),
    ]
)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Lab, str]:
    """An inventory, the lab of it, and the CA that its balancers verify servers by."""
    if request.param == "different":
        return DIFFERENT, read_lab([DIFFERENT]).lab, (DIFFERENT.parent / "authority.crt").read_text()
    if request.param == "whole names":
        return WHOLE_NAMES, read_lab([WHOLE_NAMES]).lab, PEM
    folder = sample(tmp_path)
    if request.param in KINDS:
        as_kind(folder, request.param)
    return folder, read_lab([folder]).lab, PEM


def as_kind(folder: Path, kind: str) -> None:
    """The balancers of an inventory are of another kind, with further pools."""
    pool = {"name": "ingress", "port": 80, "members": ["cp1", "cp2"], "server_port": 30080, "weights": [10, 90]}
    pools, certificate = [pool], None
    if kind == "nginx":
        pools.append({"name": "site", "port": 443, "layer": 7, "tls": True, "members": ["cp1"], "path": "/site"})
        certificate = "../clients.pem"
    wanted = {"load_balancer_kind": kind, "load_balancer_algorithm": "roundrobin", "load_balancer_pools": pools}
    wanted["load_balancer_certificate_file"] = certificate
    wanted["load_balancer_layer"] = 7 if kind == "nginx" else 4
    file = folder / "group_vars" / "load_balancers.yml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | wanted))


def sample(folder: Path) -> Path:
    shutil.copytree(ROOT / "inventory", folder / "inventory")
    (folder / "inventory" / "group_vars" / "esxi" / "vault.yml").write_text("vault_esxi_password: not a secret\n")
    return folder / "inventory"


@pytest.mark.thorough
@pytest.mark.timeout(180)
def test_a_play_by_itself_computes_what_homelab_hands_over(lab: tuple[Path, Lab, str], tmp_path: Path) -> None:
    inventory, read, ca = lab
    told = run(tmp_path, "guests.yml", inventory, SLURPED)
    for host, values in wanted(read, ca):
        found = {k: value for k, value in told[values.role, host].items() if not k.endswith(("_files", "_node"))}
        assert (
            found == INTERFACE | json.loads(json.dumps(variables(values)))
            if values.role == "keepalived"
            else (found == json.loads(json.dumps(variables(values))))
        ), (host, values.role)
    for balancer in read.load_balancers:
        assert_files(told, read, balancer, ca)
    # A node is called as its guest is, whatever the inventory calls it.
    nodes = {vm.name: told["control_plane", vm.name]["control_plane_node"] for vm in read.control_plane}
    assert nodes == {vm.name: vm.short_name for vm in read.control_plane}
    first = read.control_plane[0]
    assert told["cluster_ca", first.name]["cluster_ca_node"] == first.short_name


def assert_files(told: Mapping[tuple[str, str], Any], read: Lab, balancer: LoadBalancer, ca: str) -> None:
    """The files that the roles would lay down are those that homelab prints, and the CA."""
    texts = {
        file["path"]: file["content"]
        for role in roles_of(balancer)
        for file in told[role, balancer.name][f"{role}_files"]
    }
    printed = texts_of(read, balancer)
    # Nobody was asked for an interface here, so the renderer was given none either.
    assert {path: texts[path] for path in printed} == printed
    authority = {"haproxy": "/etc/haproxy/cluster-ca.crt"}.get(balancer.kind, "/etc/homelab-checker/cluster-ca.crt")
    assert texts[authority] == ca
    if balancer.kind == "nginx":
        assert texts["/etc/homelab-nginx/cluster-ca.crt"] == ca


@pytest.mark.thorough
@pytest.mark.timeout(180)
def test_what_homelab_hands_over_wins_and_is_never_a_template(tmp_path: Path) -> None:
    inventory, read = sample(tmp_path), read_lab([DIFFERENT]).lab
    balancer = read.load_balancers[0]
    values = (haproxy(read, balancer, "{{ 6 * 7 }}"), keepalived(read, balancer))
    given = {name: value for each in values for name, value in variables(each).items()}
    told = run(tmp_path, "load_balancer.yml", inventory, plain(given))
    for each in values:
        for host in ("lb1", "lb2"):
            assert without_files(told[each.role, host]) == as_json(each)


@pytest.mark.parametrize("role", ROLES)
def test_every_option_of_a_role_is_a_value_and_every_value_an_option(role: str) -> None:
    values = first(read_lab([DIFFERENT]).lab, role)
    assert set(options_of(role)) - {f"{role}_receipt_inputs"} == set(variables(values))


def test_the_other_lab_leaves_no_value_as_the_sample_has_it(tmp_path: Path) -> None:
    other, ours = read_lab([DIFFERENT]).lab, read_lab([sample(tmp_path)]).lab
    # The sample has no worker.
    for role in [role for role in ROLES if role != "worker"]:
        one, two = (variables(first(lab, role)) for lab in (other, ours))
        assert [name for name in one if one[name] == two.get(name) and name not in SAME] == []


def first(lab: Lab, role: str) -> RoleValues:
    """What goes into a role somewhere, with balancers of whichever kind has it."""
    labs = [lab.model_copy(update={"load_balancers": of_kind(lab, kind)}) for kind in KINDS]
    return next(values for each in labs for _, values in wanted(each, lab.name) if values.role == role)


def of_kind(lab: Lab, kind: str) -> tuple[LoadBalancer, ...]:
    return tuple(vm.model_copy(update={"kind": kind}) for vm in lab.load_balancers)
