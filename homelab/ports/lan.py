"""What is asked of the network and not of a host: the NAS, an address, who shows which certificate."""

from dataclasses import dataclass, replace

from homelab.lab import Lab
from homelab.ports.files.home import HomeFiles
from homelab.ports.looks import Looks
from homelab.ports.net.addresses import in_use
from homelab.ports.net.nfs import ExportLook
from homelab.ports.net.tls import twin_of


@dataclass(frozen=True)
class Lan:
    """The network of a lab. On the loopback, where a rehearsal has none, nobody is asked."""

    known: Lab
    files: HomeFiles
    exports: Looks[ExportLook]
    answers: Looks[str] | None = None

    def kept(self) -> "Lan":
        """The same for who writes nothing: an address is asked once."""
        # Silence is an answer as well; Looks keep no None.
        return replace(self, answers=Looks(lambda address: in_use(address) or ""))

    def export(self) -> ExportLook | None:
        """The NAS's export as it is seen from here; None on the loopback."""
        return None if self._on_loopback else self.exports.get(self.known.nfs[0].name)

    def somebody_at(self, address: str) -> str | None:
        """How an address answers; None when it is silent, and on the loopback."""
        if self._on_loopback:
            return None
        return (self.answers.get(address) or None) if self.answers else in_use(address)

    def twin(self, host: str) -> str | None:
        """Another machine that shows this host's certificate: the stick of one is a copy of the other's."""
        known = {each.name for each in self.known.esxi} | {each.name for each in self.known.vcenter}
        return twin_of(host, known, self.files, timeout=self.known.host(host).api_timeout)

    @property
    def _on_loopback(self) -> bool:
        return all(host.address.is_loopback for host in self.known.esxi)
