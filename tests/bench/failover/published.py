"""What others publish, with this bench's addresses: the configurations that ours are compared with.

`tutorial` is what most tutorials show, down to names and numbers; `kubeadm` is docs/ha-considerations.md of
kubernetes/kubeadm, with every placeholder filled in.
Added is only what the bench needs to look at HAProxy (a stats socket), and what every nginx.conf has.
"""

from collections.abc import Mapping

from tests.bench.failover.places import BALANCERS, INTERFACE, PORT, SERVERS, VIP

Weights = Mapping[str, int] | None
STATS = "    stats socket /run/haproxy/admin.sock mode 600 level user\n"


def tutorial_haproxy(balancer: str, weights: Weights = None) -> dict[str, str]:
    """A TCP check every 10 s, round robin, a slow start."""
    servers = "".join(f"server {name} {address}:{PORT} check\n" for name, address in SERVERS.items())
    text = f"""\
global
{STATS}
frontend kubernetes-api
bind {VIP}:{PORT}
mode tcp
option tcplog
default_backend kubernetes-api

backend kubernetes-api
mode tcp
option tcplog
option tcp-check
balance roundrobin
default-server inter 10s downinter 5s rise 2 fall 2 slowstart 60s maxconn 250 maxqueue 256 weight 100

{servers}"""
    return {"/etc/haproxy/haproxy.cfg": text}


def tutorial_nginx(balancer: str, weights: Weights = None) -> dict[str, str]:
    """Passive checks; a watch that is silent for 3 s is cut."""
    servers = "".join(
        f"server {address}:{PORT} weight=5 max_fails=3 fail_timeout=30s;\n" for address in SERVERS.values()
    )
    text = f"""\
include /etc/nginx/modules-enabled/*.conf;
pid /run/nginx.pid;
events {{ }}
stream {{
upstream kubernetes-api {{
{servers}}}

server {{
listen {PORT};
proxy_connect_timeout 1s;
proxy_timeout 3s;
proxy_pass kubernetes-api;
}}
}}
"""
    return {"/etc/nginx/nginx.conf": text}


def kubeadm(balancer: str, weights: Weights = None) -> dict[str, str]:
    """HAProxy with /healthz checks that verify nothing, keepalived whose script asks the API through HAProxy."""
    first = balancer == next(iter(BALANCERS))
    return {
        "/etc/haproxy/haproxy.cfg": _kubeadm_haproxy(),
        "/etc/keepalived/keepalived.conf": KUBEADM_KEEPALIVED.format(
            state="MASTER" if first else "BACKUP", interface=INTERFACE, priority=101 if first else 100, vip=VIP
        ),
        "/etc/keepalived/check_apiserver.sh": KUBEADM_CHECK,
    }


def _kubeadm_haproxy() -> str:
    servers = "".join(f"    server {name} {address}:{PORT} check verify none\n" for name, address in SERVERS.items())
    return f"""\
global
    log stdout format raw local0
    daemon
{STATS}
defaults
    mode                    http
    log                     global
    option                  httplog
    option                  dontlognull
    option http-server-close
    option forwardfor       except 127.0.0.0/8
    option                  redispatch
    retries                 1
    timeout http-request    10s
    timeout queue           20s
    timeout connect         5s
    timeout client          35s
    timeout server          35s
    timeout http-keep-alive 10s
    timeout check           10s

frontend apiserver
    bind *:{PORT}
    mode tcp
    option tcplog
    default_backend apiserverbackend

backend apiserverbackend
    option httpchk

    http-check connect ssl
    http-check send meth GET uri /healthz
    http-check expect status 200

    mode tcp
    balance     roundrobin

{servers}"""


KUBEADM_KEEPALIVED = """\
global_defs {{
    router_id LVS_DEVEL
}}
vrrp_script check_apiserver {{
  script "/etc/keepalived/check_apiserver.sh"
  interval 3
  weight -2
  fall 10
  rise 2
}}

vrrp_instance VI_1 {{
    state {state}
    interface {interface}
    virtual_router_id 51
    priority {priority}
    authentication {{
        auth_type PASS
        auth_pass 42
    }}
    virtual_ipaddress {{
        {vip}
    }}
    track_script {{
        check_apiserver
    }}
}}
"""
KUBEADM_CHECK = f"""\
#!/bin/sh

errorExit() {{
    echo "*** $*" 1>&2
    exit 1
}}

curl -sfk --max-time 2 https://localhost:{PORT}/healthz -o /dev/null || errorExit "Error GET https://localhost:{PORT}/healthz"
"""
