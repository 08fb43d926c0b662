"""The host's certificate, and how it gets another one."""

from typing import Any

from cryptography import x509
from pyVmomi import vim

from homelab.rehearsal.soap.certificate import fits, requested
from homelab.rehearsal.soap.managed import Managed, writes
from homelab.rehearsal.soap.taken import refuse_rest
from homelab.rehearsal.state.refusals import InvalidArgument


class HostCertificateManager(Managed):
    """The host's own certificate; of authorities' certificates it knows nothing."""

    moid = "ha-certificate-manager"

    @property
    def certificateInfo(self) -> Any:
        """Whose it is, who made it, and how long it lasts."""
        found = x509.load_pem_x509_certificate(self._face.certificate)
        return vim.host.CertificateManager.CertificateInfo(
            issuer=found.issuer.rfc4514_string(),
            notBefore=found.not_valid_before_utc,
            notAfter=found.not_valid_after_utc,
            subject=found.subject.rfc4514_string(),
            status="good" if found.not_valid_after_utc > self._host.now() else "expired",
        )

    @writes
    def GenerateCertificateSigningRequest(self, useIpAddressAsCommonName: bool, spec: Any) -> str:
        """A request with the key that the host has: what is made of it can be installed."""
        if spec is not None:
            refuse_rest(spec, ())
        address = self._host.settings.network.address
        name = address if useIpAddressAsCommonName else self._host.settings.network.full_name
        return requested(name, self._face.pair[1]).decode()

    @writes
    def InstallServerCertificate(self, cert: str) -> None:
        """Show another certificate from the next connection on; InvalidArgument when it is not of the host's key."""
        key = self._face.pair[1]
        if not fits(cert.encode(), key):
            raise InvalidArgument("A specified parameter was not correct: cert", invalidProperty="cert")
        self._face.use_certificate((cert.encode(), key))

    def NotifyAffectedServices(self, services: Any) -> None:
        """Nothing to tell: every connection asks for the certificate anew."""
