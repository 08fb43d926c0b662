"""The configurations side by side: what others publish, and what this toolkit lays down."""

from tests.bench.failover import published
from tests.bench.failover.ours import CELLS, ours
from tests.bench.failover.services import NGINX, Configuration, haproxy_down, haproxy_service, keepalived_service

# Debian's haproxy.service restarts at systemd's own pace; its nginx.service and keepalived.service do not restart.
DEBIAN_RESTART_SECONDS = 0.1


def configurations() -> dict[str, Configuration]:
    """All of them, by name, in the order of the table."""
    haproxy = haproxy_service(DEBIAN_RESTART_SECONDS)
    listed = (
        Configuration("tutorial-haproxy", published.tutorial_haproxy, (haproxy,), haproxy_down),
        Configuration("tutorial-nginx", published.tutorial_nginx, (NGINX,)),
        Configuration("kubeadm", published.kubeadm, (haproxy, keepalived_service(None)), haproxy_down, vip=True),
        *(ours(kind, layer) for kind, layer in CELLS),
    )
    return {each.name: each for each in listed}
