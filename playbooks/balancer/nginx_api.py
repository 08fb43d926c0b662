"""The API servers at layer 7 in nginx.conf: what haproxy_api.py does and explains, as far as nginx does it safely.

nginx cannot drop headers by the beginning of their names, and API servers believe every X-Remote-Extra-* of who shows
the front proxy's certificate. So no header of a client goes on by itself: those of CARRIED do, one value each.
Impersonation is made of headers of any number and name, so it is refused: half of it would be another wish.
"""

from collections.abc import Callable
from string import Template

from .pools import API_NAME, FRONT_PROXY, GROUPS, SERVING, Pool

# The pool's twin for connections without a certificate. No pool of an inventory can be called so.
OTHERS = "_others"
# What kubectl, kubelets, client-go, browsers and the like say to API servers, and to what these hand on.
CARRIED = (
    "Accept", "Accept-Encoding", "Accept-Language", "Access-Control-Request-Headers", "Access-Control-Request-Method",
    "Audit-ID", "Baggage", "Cache-Control", "Content-Encoding", "Content-Type", "Cookie", "If-Match",
    "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Kubectl-Command", "Kubectl-Session",
    "Origin", "Range", "Referer", "Sec-WebSocket-Extensions", "Sec-WebSocket-Key", "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Version", "Traceparent", "Tracestate", "User-Agent", "X-Requested-With", "X-Stream-Protocol-Version",
)  # fmt: skip
# A name in RFC 2253's form: what could end it, or be no name, has a backslash or a # at its beginning.
VALUE = r"(?!#)[^\\\\,+\x00-\x1f\x7f-\xff]+"
PART = rf"[A-Za-z]+={VALUE}"
TEXT = Template(r"""
    # By variables nginx reads these when somebody comes: neither its test nor the checker's needs the keys.
    map "" $$api_serving {
        default $folder/$serving;
    }
    map "" $$api_front_proxy {
        default $folder/$front_proxy;
    }
    # Whom a verified certificate names: the last CN, as Go reads it, and every O. Its parts stand here from the last
    # to the first, and a name that could be read in two ways is refused below.
    map $$ssl_client_s_dn $$api_user {
        default "";
        "~(?:^|[,+])CN=([^,+]+)" $$1;
    }
$groups
    map "$$ssl_client_verify $$ssl_client_s_dn" $$api_refusal {
        default "The client certificate has odd names.\n";
        "NONE " "";
        "~[ ,+]O=(?:.*[,+]O=){$most}" "The client certificate has more than $most groups (O).\n";
        "~^SUCCESS (?=(?:.*[,+])?CN=)$part(?:[,+]$part)*\z" "";
    }
    # In its last day a certificate is looked at for every request anew, by a connection of its own. Only a request
    # that lasted for a day can leave a connection behind on which that was not so.
    map "$$ssl_client_v_remain $$connection_time" $$api_too_old {
        default "";
        "~^0 (?:8[6-9]\d{3}|9\d{4}|\d{6,})[.]" "The client certificate may have run out: connect again.\n";
    }
    # Behind these a client could speak to an API server past this list: only what kubectl needs is tunnelled.
    map $$http_upgrade $$api_upgrade {
        default none;
        "" "";
        ~*^websocket$$ websocket;
        ~*^spdy/3[.]1$$ SPDY/3.1;
    }
    map $$api_upgrade $$api_hop {
        default upgrade;
        "" "";
    }
    map "$$http_impersonate_user$$http_impersonate_group$$http_impersonate_uid" $$api_wishes {
        default 1;
        "" "";
    }
    # Over there a certificate counts more than a token.
    map $$ssl_client_verify $$api_authorization {
        default "";
        NONE $$http_authorization;
    }
    map "$$ssl_client_verify $$api_upgrade $$ssl_client_v_remain" $$api_way {
        default @others;
        "~^NONE \S" @others_once;
        "~^SUCCESS  [1-9]" @certified;
        "~^SUCCESS" @certified_once;
    }
    # Nobody got the request: there was no server, or no connection that holds.
    map $$upstream_connect_time $$api_unsent {
        default "";
        "~^-(?:[ ,:]+-)*\z" 1;
    }
$upstreams
    # The API: TLS ends here, and every request is one of its own.
    server {
        listen $address:$port ssl so_keepalive=on;
        # A client may show a certificate of the cluster's CA. It is verified anew for each connection.
        ssl_certificate $$api_serving;
        ssl_certificate_key $$api_serving;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_client_certificate $ca;
        ssl_verify_client optional;
        ssl_session_cache off;
        ssl_session_tickets off;
        # Who stays idle for 90 s, as clients of Kubernetes do, ends a connection first.
        keepalive_timeout 5m;
        # Watches are silent for long.
        client_body_timeout 4h;
        send_timeout 4h;
        proxy_read_timeout 4h;
        proxy_send_timeout 4h;
        proxy_redirect off;

        # A client's headers go on by this list alone, as one value each.
        proxy_pass_request_headers off;
        proxy_headers_hash_max_size 1024;
        proxy_headers_hash_bucket_size 512;
$carried
        proxy_set_header Authorization $$api_authorization;
        proxy_set_header Upgrade $$api_upgrade;
        proxy_set_header Connection $$api_hop;
        proxy_set_header Host $sni;
        proxy_set_header X-Forwarded-For $$remote_addr;
        proxy_set_header X-Forwarded-Proto https;
        proxy_set_header X-Forwarded-Host $$http_host;
        # Those that are empty are not sent.
        proxy_set_header X-Remote-User $$api_user;
$told

        # Every serving certificate that kubeadm makes carries the name $sni.
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate $ca;
        proxy_ssl_name $sni;
        proxy_ssl_server_name on;
        proxy_ssl_protocols TLSv1.2 TLSv1.3;
        # A session that is taken up again is one by whoever began it.
        proxy_ssl_session_reuse off;

        error_page 495 = @unverified;
        # What goes wrong in a location that an error led to has its page too.
        recursive_error_pages on;
        error_page 502 504 = @unanswered;
        if ($$api_refusal) {
            return 401 $$api_refusal;
        }
        if ($$api_too_old) {
            return 401 $$api_too_old;
        }
        if ($$api_upgrade = none) {
            return 403 "No upgrade of this kind.\n";
        }
        # With a part of it lost, somebody would be another one than was wished.
        if ($$api_wishes) {
            return 403 "nginx at layer 7 hands no impersonation (--as) on: ask an API server itself.\n";
        }
        location / {
            error_page 418 = $$api_way;
            return 418;
        }
        location @unanswered {
            if ($$api_unsent) {
                return 503 "No API server is up.\n";
            }
            return 502 "The API server gave no answer.\n";
        }
        location @unverified {
            return 401 "The client certificate is not verified, or has run out.\n";
        }
        location @certified {
            proxy_ssl_certificate $$api_front_proxy;
            proxy_ssl_certificate_key $$api_front_proxy;
            proxy_pass https://$name;
        }
        # An upgrade may run a command: it is never sent twice.
        location @certified_once {
            keepalive_timeout 0;
            proxy_next_upstream off;
            proxy_ssl_certificate $$api_front_proxy;
            proxy_ssl_certificate_key $$api_front_proxy;
            proxy_pass https://$name;
        }
        # All others, over connections without a certificate: with one, an API server answers 401 to who is not named.
        location @others {
            proxy_pass https://$name$others;
        }
        location @others_once {
            proxy_next_upstream off;
            proxy_pass https://$name$others;
        }
    }
""")
GROUP = Template(r"""    map $$ssl_client_s_dn $$api_group$n {
        default "";
        "~(?:^|[,+])O=([^,+]+)$rest\z" $$1;
    }""")
# Parts that are no group, then one that is.
NO_GROUP = r"(?:[,+](?!O=)[^,+]*)*"
NEXT_GROUP = rf"(?:{NO_GROUP}[,+]O=[^,+]*)"


def server(pool: Pool, upstream: Callable[[str], str], certificates: str, ca: str) -> str:
    """The API's part of the block `http`.

    `upstream` makes the pool's block of a name. `certificates` is a folder on the balancer, read by the user that nginx
    runs as when a client comes; `ca` is the path of the cluster's CA.
    """
    return TEXT.substitute(
        name=pool.name,
        others=OTHERS,
        address=pool.address,
        port=pool.port,
        folder=certificates,
        ca=ca,
        serving=SERVING,
        front_proxy=FRONT_PROXY,
        sni=API_NAME,
        most=GROUPS,
        part=PART,
        groups="\n".join(_group(n) for n in range(1, GROUPS + 1)),
        upstreams=upstream(pool.name) + upstream(pool.name + OTHERS).rstrip("\n"),
        carried="\n".join(f"        proxy_set_header {name} $http_{_variable(name)};" for name in CARRIED),
        told="\n".join(f"        proxy_set_header X-Remote-Group $api_group{n};" for n in range(1, GROUPS + 1)),
    ).strip("\n")


def _group(n: int) -> str:
    """The n-th O of a certificate, which is the n-th from the end of its name in RFC 2253's form."""
    return GROUP.substitute(n=n, rest=(f"{NEXT_GROUP}{{{n - 1}}}" if n > 1 else "") + NO_GROUP)


def _variable(header: str) -> str:
    return header.lower().replace("-", "_")
