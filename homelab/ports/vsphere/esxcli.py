"""esxcli over 443, which needs no SSH: ExecuteSoap of the host's ManagedMethodExecuter (esxi-facts, The driver fix).

pyVmomi does not know these two calls, and types of our own would live beside those of anything else in the process. So
the two envelopes are written here by hand, on the session's own cookie and certificate.
"""

from http.client import HTTPException
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from homelab.errors import HostFault
from homelab.formats.stranger import what_answered
from homelab.ports.files.record import recorded
from homelab.ports.net.exchange import begin, connection
from homelab.ports.vsphere.session import Session, parsed, translated

ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>'
)
RETRIEVE = (
    '<RetrieveManagedMethodExecuter xmlns="urn:vim25"><_this type="HostSystem">ha-host</_this>'
    "</RetrieveManagedMethodExecuter>"
)
EXECUTE = (
    '<ExecuteSoap xmlns="urn:vim25"><_this type="ReflectManagedMethodExecuter">{executer}</_this>'
    "<moid>{moid}</moid><version>urn:vim25/5.0</version><method>{method}</method>{arguments}</ExecuteSoap>"
)
ARGUMENT = "<argument><name>{name}</name><val>{value}</val></argument>"


def esxcli(session: Session, command: str, *, writes: bool = False, **options: str | bool) -> list[dict[str, str]]:
    """Run a command such as `system module set`; one mapping of fields a row.

    Options are named as on the wire: without hyphens. Raises HostFault with the command's own words.
    """
    words = command.split()
    with parsed(session.where, "the way to esxcli"):
        executer = _text(_call(session, RETRIEVE, "the way to esxcli", writes=False))
    arguments = "".join(
        ARGUMENT.format(name=name, value=escape(f"<{name}>{escape(_value(value))}</{name}>"))
        for name, value in options.items()
    )
    body = EXECUTE.format(
        executer=executer,
        moid="ha-cli-handler-" + "-".join(words[:-1]),
        method="vim.EsxCLI." + ".".join(words),
        arguments=arguments,
    )
    answer = _call(session, body, f"esxcli {command}", writes=writes)
    failed = next((node.text for node in answer.iter() if _name(node) == "faultDetail"), None)
    if failed:
        raise _refused(session, command, failed)
    response = next((node.text for node in answer.iter() if _name(node) == "response"), None)
    return _rows(_tree(session, response.encode(), f"esxcli {command}")) if response else []


def _value(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value


def _call(session: Session, body: str, what: str, *, writes: bool) -> ElementTree.Element:
    """One SOAP call; its answer's body. Raises HostFault for a fault of the API's own, Unreachable."""
    name = body[1:].partition(" ")[0]
    with recorded(session.files, "soap", session.host.name, name, writes=writes), translated(session.where):
        status, reason, content, heard = _post(session, ENVELOPE.format(body=body).encode())
    if status not in (200, 500):
        raise _stranger(session, what, heard)
    tree = _tree(session, content, what, heard)
    if status != 200:
        said = next((node.text for node in tree.iter() if _name(node) == "faultstring"), None) or reason
        raise HostFault(
            f"{what}: {said.strip().rstrip('.')}",
            where=session.where,
            advice="These are the host's own words; see /var/log/hostd.log there",
        )
    return tree


def _post(session: Session, envelope: bytes) -> tuple[int, str, bytes, bytes]:
    """Status, reason, content, and the beginning of the whole answer. Raises OSError, HTTPException."""
    host = session.host
    headers = {"Cookie": session.cookie, "Content-Type": "text/xml; charset=utf-8", "SOAPAction": '"urn:vim25/5.5"'}
    opened = connection(str(host.address), host.api_port, session.tls, host.api_timeout)
    exchange = begin(opened, host.api_timeout)
    try:
        opened.request("POST", "/sdk", envelope, headers)
        answer = opened.getresponse()
        return answer.status, answer.reason, answer.read(), exchange.heard
    except HTTPException as error:
        if not exchange.heard:
            raise
        raise _stranger(session, "esxcli", exchange.heard) from error
    finally:
        opened.close()


def _tree(session: Session, content: bytes, what: str, heard: bytes = b"") -> ElementTree.Element:
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise _stranger(session, what, heard or b"HTTP/1.1 200 OK\r\n\r\n" + content[:2048]) from error


def _stranger(session: Session, what: str, heard: bytes) -> HostFault:
    return HostFault(
        f"{what}: no ESXi answers there, but {what_answered(heard)}",
        where=session.where,
        advice="Check what stands between this machine and the host; run again if the host was just starting",
    )


def _text(tree: ElementTree.Element) -> str:
    """The id of the returned object."""
    return next(node.text or "" for node in tree.iter() if _name(node) == "returnval")


def _refused(session: Session, command: str, detail: str) -> HostFault:
    tree = _tree(session, detail.encode(), f"esxcli {command}")
    words = next((node.text for node in tree.iter() if _name(node) == "errMsg"), None)
    return HostFault(
        f"`esxcli {command}` said: {(words or 'nothing').strip()}",
        where=session.where,
        advice="Run it by hand in that host's shell to see more",
    )


def _rows(tree: ElementTree.Element) -> list[dict[str, str]]:
    """A list's objects, or the single object's fields as one row; a bare text is the field `value`."""
    rows = [node for node in tree if _name(node) == "DataObject"]
    if rows:
        return [_fields(row) for row in rows]
    if len(tree):
        return [_fields(tree)]
    return [{"value": tree.text}] if tree.text else []


def _fields(node: ElementTree.Element) -> dict[str, str]:
    return {_name(child): child.text or "" for child in node}


def _name(node: Any) -> str:
    return str(node.tag).rpartition("}")[2]
