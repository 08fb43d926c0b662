"""Runs on a control plane, on its own Python, as root: prints how etcd stands as one JSON object.

Standard library only; Python 3.9 and newer. etcd answers the JSON of its own gateway on the port that kubeadm opens, to
the certificate that kubeadm made for the API server: neither etcdctl nor crictl has to be there, and no container is
entered.
"""

from __future__ import annotations

import http.client
import json
import pathlib
import ssl
from typing import Any
from urllib.parse import urlsplit

PKI = pathlib.Path("/etc/kubernetes/pki")
ADDRESS, PORT = "127.0.0.1", 2379
SECONDS = 3.0
MOST = 1 << 20


def asked(context: ssl.SSLContext, address: str, port: int, path: str) -> dict[str, Any]:
    """What etcd answers to an empty question. Raises OSError, ValueError, HTTPException."""
    connection = http.client.HTTPSConnection(address, port, timeout=SECONDS, context=context)
    try:
        connection.request("POST", path, b"{}", {"Content-Type": "application/json"})
        answer = connection.getresponse()
        read = json.loads(answer.read(MOST))
    finally:
        connection.close()
    if answer.status != http.client.OK or not isinstance(read, dict):
        raise ValueError(f"{path} is answered {answer.status}")
    return read


def member(context: ssl.SSLContext, known: dict[str, Any]) -> dict[str, Any]:
    """One member: its name, its id, whether it only learns yet, and what it says of itself or why it says nothing."""
    told = {"id": known["ID"], "name": known.get("name", ""), "learner": known.get("isLearner", False)}
    try:
        url = urlsplit(known["clientURLs"][0])
        status = asked(context, url.hostname or "", url.port or PORT, "/v3/maintenance/status")
    except (OSError, ValueError, LookupError, http.client.HTTPException) as error:
        return {**told, "problem": str(error) or type(error).__name__, "leader": "", "errors": []}
    return {**told, "problem": "", "leader": status.get("leader", ""), "errors": status.get("errors", [])}


def look() -> dict[str, Any]:
    """All members; or why this one does not tell them."""
    try:
        context = ssl.create_default_context(cafile=str(PKI / "etcd/ca.crt"))
        context.load_cert_chain(PKI / "apiserver-etcd-client.crt", PKI / "apiserver-etcd-client.key")
        found = asked(context, ADDRESS, PORT, "/v3/cluster/member/list")
        return {"problem": "", "members": [member(context, known) for known in found["members"]]}
    except (OSError, ValueError, LookupError, TypeError, http.client.HTTPException) as error:
        return {"problem": str(error) or type(error).__name__, "members": []}


if __name__ == "__main__":
    print(json.dumps(look()))
