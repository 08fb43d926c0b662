"""What one API server says of itself, verified by the cluster's own CA."""

import json
from dataclasses import dataclass

from homelab.errors import HomelabError
from homelab.ports.net import https

REQUEST_SECONDS = 3.0


@dataclass(frozen=True)
class ApiAnswer:
    """What was said. `ready` is None where nobody can tell, because the cluster's CA is not known."""

    ready: bool | None
    text: str
    version: str | None = None


def api_answer(address: str, port: int, ca: str | None) -> ApiAnswer:
    """Ask for /readyz, and for the version of one that is ready; raises nothing of the network's."""
    if ca is None:
        return ApiAnswer(None, "the cluster's CA is not known, so nothing can be verified")
    try:
        status, _ = https.get(address, port, "/readyz", ca, timeout=REQUEST_SECONDS)
        if status != 200:
            return ApiAnswer(False, f"/readyz answers {status}")
        _, body = https.get(address, port, "/version", ca, timeout=REQUEST_SECONDS)
        version = str(json.loads(body).get("gitVersion", "of unknown version"))
        return ApiAnswer(True, f"/readyz answers 200, Kubernetes {version}", version)
    except HomelabError as error:
        return ApiAnswer(False, error.what)
    except (OSError, ValueError, AttributeError) as error:
        return ApiAnswer(False, str(error) or type(error).__name__)
