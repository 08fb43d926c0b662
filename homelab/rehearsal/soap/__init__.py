"""The vSphere face of a simulated host: HTTPS and SOAP on pyVmomi's own types."""

from homelab.rehearsal.soap.face import SoapFace

__all__ = ["SoapFace"]
