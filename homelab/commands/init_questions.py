"""The questions of `init`: what was found is shown first, and each answer is looked at before the next question."""

import os
from typing import Any

import yaml

from homelab.commands.options import Options
from homelab.errors import UsageError
from homelab.inventory.answers import AnswersFile, shown, understood, wrong
from homelab.inventory.proposals import doubts, network_of, proposed
from homelab.output.ui import Ui
from homelab.ports.files.data import data_folder
from homelab.ports.net.around import PORTS, Around, can_be_looked_at, look_around
from homelab.ports.net.own_networks import own_networks

QUESTIONS = {
    "lab_network": "the network of the lab (CIDR)",
    "esxi": "the ESXi hosts, as ADDRESS or NAME=ADDRESS",
    "nfs": "the NAS",
    "nfs_export": "the folder that the NAS exports",
    "lab_gateway": "the gateway",
    "api_vip": "a free address for the Kubernetes API, outside of what DHCP gives away",
    "control_plane": "free addresses for the control planes",
    "load_balancers": "free addresses for the load balancers",
}
# What the sample says, unless told; all of it stands in the files, with a comment.
FROM_SAMPLE = (
    "lab_name",
    "lab_domain",
    "lab_ntp_servers",
    "image_source",
    "image_sha256",
    "kubernetes_version",
    "nfs_datastore",
)
NEEDS_A_LOOK = ("esxi", "nfs", "nfs_export", "api_vip", "control_plane", "load_balancers")
TRIES = 3


class Talk:
    """One talk: the answers so far, and what was found. `asks`: a person is there and wants to be asked."""

    def __init__(self, options: Options, given: AnswersFile, *, asks: bool) -> None:
        self._ui = options.ui
        self._asks = asks
        self._given = given
        self._around: Around | None = None
        self._own = own_networks()
        self.values: dict[str, Any] = dict(given.values)
        self.doubts: list[str] = []

    def all_answers(self) -> dict[str, Any]:
        """Every answer that was given, proposed or typed."""
        for key, question in QUESTIONS.items():
            if key in self.values or key in self._given.broken:
                continue
            if key in NEEDS_A_LOOK:
                self._look()
            proposal = proposed(key, self.values, self._around, self._own)
            if self._asks:
                self.values[key] = self._answer(key, question, proposal)
            elif proposal is not None:
                self.values[key] = proposal
        sample = _sample_values()
        for key in FROM_SAMPLE:
            self.values.setdefault(key, sample[key])
        if nameservers := proposed("lab_nameservers", self.values, self._around, self._own):
            self.values.setdefault("lab_nameservers", nameservers)
        self.doubts = doubts(self.values, self._around)
        for sentence in self.doubts:
            self._ui.warn(sentence)
        return self.values

    def _look(self) -> None:
        network = network_of(self.values.get("lab_network"))
        if self._around is not None or network is None or self._given.mistakes:
            return
        if not can_be_looked_at(network):
            self._ui.note(f"{network} has too many addresses to ask each of them; nothing is proposed")
            self._around = Around(network)
            return
        count = network.num_addresses - 2
        self._ui.note(f"asking the {count} addresses of {network} at the ports {', '.join(map(str, PORTS))} ...")
        self._around = look_around(network)
        self._show(self._around)

    def _show(self, around: Around) -> None:
        for address, product in around.products:
            self._ui.note(f"  {address}: {product.name}")
        for address, exports in around.nfs:
            told = ", ".join(map(str, exports)) if exports else "its exports are not told"
            self._ui.note(f"  {address}: NFS server ({told})")
        free = around.network.num_addresses - 2 - len(around.used)
        counts = f"{len(around.hosts)} ESXi host(s), {len(around.nfs)} NFS server(s)"
        self._ui.note(f"  {counts}, {free} addresses where nobody answered")

    def _answer(self, key: str, question: str, proposal: Any) -> Any:
        while True:
            text = self._ui.ask(question, shown(proposal) if proposal is not None else "")
            value = understood(key, text)
            if said := _doubt(key, text, value, {**self.values}):
                self._ui.warn(said)
                continue
            return value


def _doubt(key: str, text: str, value: Any, before: dict[str, Any]) -> str:
    """Why an answer cannot be taken, and what to write; empty when it can."""
    if not text:
        return "an answer is needed here"
    if key == "lab_network" and network_of(text) is None:
        return f"{text} is not a network; write something like 192.168.2.0/24"
    if isinstance(value, dict) and len(value) < len(text.replace(",", " ").split()):
        return "a name stands there twice; give each machine its own"
    known = {str(mistake) for mistake in wrong(before)}
    new = [mistake for mistake in wrong({**before, key: value}) if str(mistake) not in known]
    return "; ".join((new[0].what, new[0].fix)) if new else ""


def _sample_values() -> dict[str, Any]:
    folder = data_folder("inventory") / "group_vars"
    texts = ((folder / name).read_text(encoding="utf-8") for name in ("all.yml", "nfs.yml"))
    return {key: value for text in texts for key, value in yaml.safe_load(text).items()}


def ask_password(ui: Ui) -> str:
    """The password of root on the hosts: from the environment, else typed twice."""
    if password := os.environ.get("VMWARE_PASSWORD"):
        return password
    if not ui.there:
        raise UsageError(
            "there is no password of the ESXi hosts' root",
            where="environment",
            advice="Set VMWARE_PASSWORD, or run it on a terminal, which asks",
        )
    return _typed_twice(ui, "Password of root on the ESXi hosts: ")


def ask_vault_password(ui: Ui) -> str:
    """A new password for the vault, typed twice."""
    ui.note("the vault gets a password of its own; who loses it writes the vault anew")
    return _typed_twice(ui, "New vault password: ")


def _typed_twice(ui: Ui, prompt: str) -> str:
    for _ in range(TRIES):
        first = ui.ask_secret(prompt)
        if first and ui.ask_secret("Once more: ") == first:
            return first
        ui.warn("it is empty" if not first else "these two differ")
    raise UsageError("no password was typed the same way twice", where="the terminal", advice="Run it again")
