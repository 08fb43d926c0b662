"""The API servers at layer 7 in haproxy.cfg: TLS ends at the balancer, and each request goes on over TLS of its own.

Whoever shows a client certificate is verified here against the cluster's CA, and named to the API servers as their
front proxy names users: X-Remote-User and X-Remote-Group, over a connection with the front proxy's own certificate
(kubernetes.io/docs/reference/access-authn-authz/authentication, "Authenticating Proxy"; kubeadm sets the flags
--requestheader-*). Everybody else (tokens, nobody at all) goes over connections without any certificate: with one, an
API server answers 401 to who is not named.
"""

from collections.abc import Sequence
from string import Template

from .pools import API_NAME, FRONT_PROXY, GROUPS, SERVING, Pool

# Whom a check is by; whoever is known may read /readyz.
CHECKER = "homelab:balancer"

TEXT = Template("""\
# Layer 7: TLS ends here, and every request is one of its own.
frontend $name
    # What it shows was made on the first control plane, for $api_name and the address.
    # A client may show a certificate; one that the cluster's CA did not sign, or that ran out, ends the handshake.
    bind $address:$port ssl crt $folder/$serving alpn h2,http/1.1 ca-file $folder/$ca verify optional
    mode http
    option httplog
    timeout http-request 10s
    timeout http-keep-alive 5m
    # Watches are silent for long.
    timeout client 4h
    # Who a client says it is counts for nothing: these headers are believed over there.
    http-request del-header X-Remote- -m beg
    http-request del-header X-Forwarded- -m beg
    http-request del-header X-Real-IP
    http-request del-header Forwarded
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Forwarded-Host %[req.hdr(Host)] if { req.hdr(Host) -m found }
    http-request set-header Host $sni
    # Behind these a client could speak to an API server past this list: only what kubectl needs is tunnelled.
    http-request return status 403 content-type text/plain string "No tunnel of this kind.\\n" if METH_CONNECT
    http-request return status 403 content-type text/plain string "No upgrade of this kind.\\n" \
if { req.hdr(Upgrade) -m reg -i '^(?!websocket$$|spdy/3[.]1$$)' }
    acl certified ssl_c_used
    # As an API server does: at every request, not only when the connection is made.
    http-request set-var(req.now) date,utime(%y%m%d%H%M%SZ) if certified
    http-request return status 401 content-type text/plain string "The client certificate has run out.\\n" \
if certified { ssl_c_notafter,strcmp(req.now) lt 0 }
    http-request return status 401 content-type text/plain string "The client certificate is not verified.\\n" \
if certified !{ ssl_c_verify 0 }
    # A name with a line end would be a header more, and blanks around a name get lost: another name.
    http-request return status 401 content-type text/plain string "The client certificate has odd names.\\n" \
if certified !{ ssl_c_s_dn(CN,-1) -m found }
    http-request return status 401 content-type text/plain string "The client certificate has odd names.\\n" \
if certified !{ ssl_c_s_dn -m found }
    http-request return status 401 content-type text/plain string "The client certificate has odd names.\\n" \
if certified { ssl_c_s_dn -m reg '[[:cntrl:]]|= | /| $$' }
    http-request return status 401 content-type text/plain string \
"The client certificate has more than $most groups (O).\\n" if certified { ssl_c_s_dn(O,$more) -m found }
    # The last CN, as Go reads it; every O is a group.
    http-request set-header X-Remote-User %[ssl_c_s_dn(CN,-1)] if certified
$groups
    use_backend $name-servers if certified
    default_backend $name-servers_others

# Requests with a client certificate. The checks are here: the other back end, and whoever drains a server, follow.
backend $name-servers
    mode http
    balance $balance
    timeout server 4h
    # What broke before an answer is asked elsewhere, where nothing can be done twice: an upgrade may run a command.
    retry-on conn-failure empty-response
    http-request disable-l7-retry if !METH_GET or { req.hdr(Upgrade) -m found }
    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host $sni hdr X-Remote-User $checker
    # A server that shuts down gets no new connections and keeps those it has; they end by themselves.
    http-check expect error-status L7OKC ! string "[-]shutdown failed"
    http-check expect status 200
    # Every serving certificate that kubeadm makes carries the name $sni.
    # The sessions of a dead server are closed, or its watches would hang for 45 s.
    default-server ssl verify required ca-file $folder/$ca sni str($sni) crt $folder/$front_proxy \
check check-sni $sni $times
$servers

# All others: a token is the API server's to judge, and who has none is nobody.
backend $name-servers_others
    mode http
    balance $balance
    timeout server 4h
    retry-on conn-failure empty-response
    http-request disable-l7-retry if !METH_GET or { req.hdr(Upgrade) -m found }
    default-server ssl verify required ca-file $folder/$ca sni str($sni) on-marked-down shutdown-sessions tcp-ut 15s
$others
""")
GROUP = Template("""\
    http-request add-header X-Remote-Group %[ssl_c_s_dn(O,$n)] if certified { ssl_c_s_dn(O,$n) -m found }""")


def text(pool: Pool, api_name: str, folder: str, ca: str, times: str, servers: Sequence[str]) -> str:
    """Front end and back ends of the API servers; `servers` are their lines."""
    return TEXT.substitute(
        name=pool.name,
        api_name=api_name,
        address=pool.address,
        port=pool.port,
        folder=folder,
        ca=ca,
        serving=SERVING,
        front_proxy=FRONT_PROXY,
        sni=API_NAME,
        checker=CHECKER,
        times=times,
        most=GROUPS,
        more=GROUPS + 1,
        balance="roundrobin" if pool.algorithm == "weighted" else pool.algorithm,
        groups="\n".join(GROUP.substitute(n=n) for n in range(1, GROUPS + 1)),
        servers="\n".join(servers),
        others="\n".join(
            f"{line} track {pool.name}-servers/{server.name}"
            for line, server in zip(servers, pool.servers)  # noqa: B905 - Python 3.9
        ),
    )
