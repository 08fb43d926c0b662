"""What a vSphere server says of itself to everybody, before any login. Pure."""

import re
from dataclasses import dataclass

# The first call of every client (vSphere Web Services API, ServiceInstance); it needs no login and changes nothing.
QUESTION = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    b'<RetrieveServiceContent xmlns="urn:vim25"><_this type="ServiceInstance">ServiceInstance</_this>'
    b"</RetrieveServiceContent></soapenv:Body></soapenv:Envelope>"
)
ABOUT = re.compile(rb"<about\b[^>]*>(.*?)</about>", re.DOTALL)


@dataclass(frozen=True)
class Product:
    """A product's own name (`VMware ESXi 6.7.0 build-8169922`), and whether it is one host or a vCenter."""

    name: str
    is_host: bool


def product_of(answer: bytes) -> Product | None:
    """Who answered; None when it was nobody of VMware's."""
    about = ABOUT.search(answer)
    if not about:
        return None
    name, kind = _text(about[1], b"fullName"), _text(about[1], b"apiType")
    if not name or kind not in ("HostAgent", "VirtualCenter"):
        return None
    return Product(name[:80], kind == "HostAgent")


def _text(about: bytes, tag: bytes) -> str:
    found = re.search(rb"<" + tag + rb">([^<]*)</" + tag + rb">", about)
    return found[1].decode(errors="replace").strip() if found else ""
