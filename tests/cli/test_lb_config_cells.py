"""Every cell of the table of kinds: `homelab lb config` prints it, or the inventory is told to be wrong."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest
import yaml

from tests.helpers.checkout import INVENTORIES

# What is promised: kind, layers, algorithms.
TABLE = {
    "haproxy": ((4, 7), ("leastconn", "roundrobin", "weighted")),
    "nginx": ((4, 7), ("leastconn", "roundrobin", "weighted")),
    "nftables": ((3, 4), ("roundrobin", "weighted")),
}
CELLS = list(product(TABLE, (3, 4, 7), ("leastconn", "roundrobin", "weighted")))
ALLOWED = [cell for cell in CELLS if cell[1] in TABLE[cell[0]][0] and cell[2] in TABLE[cell[0]][1]]
REFUSED = [cell for cell in CELLS if cell not in ALLOWED]
PATHS = {
    "haproxy": "/etc/haproxy/haproxy.cfg",
    "nginx": "/etc/homelab-nginx/nginx.conf",
    "nftables": "/etc/homelab-nftables/rules.nft",
}
# How each program's text says it.
BALANCE = {
    ("haproxy", "leastconn"): "    balance leastconn\n",
    ("haproxy", "roundrobin"): "    balance roundrobin\n",
    ("haproxy", "weighted"): ":7443 weight 90\n",
    ("nginx", "leastconn"): "        least_conn;\n",
    ("nginx", "roundrobin"): ":7443 max_fails=1 ",
    ("nginx", "weighted"): ":7443 weight=90 ",
    ("nftables", "roundrobin"): " numgen inc mod 2 ",
    ("nftables", "weighted"): " numgen inc mod 10 ",
}
LAYER = {
    ("haproxy", 7): "    bind 10.7.1.250:8443 ssl crt /etc/haproxy/homelab-api.pem ",
    ("nginx", 7): "        listen 10.7.1.250:8443 ssl ",
    ("nftables", 3): " ip daddr 10.7.1.250 dnat to ",
}


def lb_config(folder: Path, cells: Sequence[tuple[str, int, str]]) -> "subprocess.CompletedProcess[str]":
    """One balancer for each cell, in the lab of the other inventory."""
    inventory = yaml.safe_load((INVENTORIES / "different" / "hosts.yml").read_text())
    group = inventory["all"]["children"]["load_balancers"]
    for name in [name for name in group["vars"] if name in ("load_balancer_algorithm", "load_balancer_ca_file")]:
        del group["vars"][name]
    group["hosts"] = {
        name_of(*cell): {
            "ansible_host": f"10.7.1.{10 + number}",
            "load_balancer_kind": cell[0],
            "load_balancer_layer": cell[1],
            "load_balancer_algorithm": cell[2],
        }
        for number, cell in enumerate(cells)
    }
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory, sort_keys=False))
    command = [sys.executable, "-m", "homelab", "lb", "config", "-i", str(folder / "hosts.yml"), "-o", "json"]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def name_of(kind: str, layer: int, algorithm: str) -> str:
    return f"{kind}-{layer}-{algorithm}"


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The files of all balancers that are allowed."""
    done = lb_config(tmp_path_factory.mktemp("allowed"), ALLOWED)
    assert done.returncode == 0, done.stderr
    return {balancer["name"]: balancer["files"] for balancer in json.loads(done.stdout)["balancers"]}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What is said of all that are not: balancers to their mistakes, by the line that each stands on."""
    folder = tmp_path_factory.mktemp("refused")
    done = lb_config(folder, REFUSED)
    assert (done.returncode, done.stdout) == (2, "")
    lines, found = (folder / "hosts.yml").read_text().splitlines(), dict[str, list[str]]()
    for number, mistake in re.findall(r"hosts[.]yml:(\d+): (.*);", done.stderr):
        above = [line.strip(" :") for line in lines[: int(number)]]
        name = next(line for line in reversed(above) if line in {name_of(*cell) for cell in REFUSED})
        found.setdefault(name, []).append(mistake)
    return found


@pytest.mark.parametrize(("kind", "layer", "algorithm"), ALLOWED)
def test_a_cell_of_the_table_is_printed(
    printed: dict[str, dict[str, str]], kind: str, layer: int, algorithm: str
) -> None:
    text = printed[name_of(kind, layer, algorithm)][PATHS[kind]]
    assert BALANCE[kind, algorithm] in text
    assert all((words in text) == (cell == (kind, layer)) for cell, words in LAYER.items())


@pytest.mark.parametrize(("kind", "layer", "algorithm"), REFUSED)
def test_any_other_cell_is_a_mistake(told: dict[str, list[str]], kind: str, layer: int, algorithm: str) -> None:
    layers, algorithms = TABLE[kind]
    wrong = [] if layer in layers else [f"load_balancer_layer: {kind} has no {layer}"]
    wrong += [] if algorithm in algorithms else [f"load_balancer_algorithm: {kind} has no {algorithm}"]
    assert told[name_of(kind, layer, algorithm)] == wrong
