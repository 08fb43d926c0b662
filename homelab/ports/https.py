"""One HTTPS request with a deadline, verified by the cluster's own CA."""

import http.client
import socket
import ssl

# Every serving certificate that kubeadm makes carries this name (load-balancer-facts).
API_SERVER_NAME = "kubernetes.default.svc"


def get(address: str, port: int, path: str, ca: str, *, timeout: float) -> tuple[int, str]:
    """The status and body of GET https://ADDRESS:PORT/PATH. Raises OSError (ssl.SSLError too) when there is none."""
    context = ssl.create_default_context(cadata=ca)
    with (
        socket.create_connection((address, port), timeout=timeout) as plain,
        context.wrap_socket(plain, server_hostname=API_SERVER_NAME) as secured,
    ):
        request = f"GET {path} HTTP/1.1\r\nHost: {API_SERVER_NAME}\r\nConnection: close\r\n\r\n"
        secured.sendall(request.encode())
        answer = http.client.HTTPResponse(secured)
        try:
            answer.begin()
            return answer.status, answer.read().decode(errors="replace")
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP answer: {error or type(error).__name__}") from error
