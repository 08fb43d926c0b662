"""The block `http` of nginx.conf beside `stream`: what holds at layer 7 whatever is balanced there."""

from collections.abc import Sequence
from string import Template

HTTP = Template("""
# Layer 7: $what.
http {
    log_format homelab '$$remote_addr:$$remote_port -> $$upstream_addr $$status $$request_time s '
                       '"$$request" in $$request_length out $$bytes_sent';
    access_log syslog:server=unix:/dev/log,nohostname,tag=homelab_nginx homelab;
    server_tokens off;
    default_type text/plain;
    # Nothing is written there, for requests and answers pass as they come; nginx wants the folder.
    client_body_temp_path $folder;
    proxy_temp_path $folder;
    fastcgi_temp_path $folder;
    uwsgi_temp_path $folder;
    scgi_temp_path $folder;
    client_max_body_size 0;
    proxy_request_buffering off;
    proxy_buffering off;
    # The headers of an answer may be as long.
    proxy_buffer_size 16k;
    proxy_buffers 4 16k;
    # An answer tells nginx nothing: X-Accel-Redirect would have it ask for another path in the client's name.
    proxy_ignore_headers X-Accel-Redirect X-Accel-Expires X-Accel-Limit-Rate X-Accel-Buffering X-Accel-Charset;
    # A client that sends its request drop by drop holds nothing up.
    client_header_timeout 10s;
    # A server that refuses is asked no second time: the next one is. What began to be served is sent to nobody else,
    # but for methods that change no more when they are done twice (GET, PUT, not POST).
    proxy_connect_timeout 1s;
    proxy_next_upstream error timeout;
    proxy_next_upstream_tries 3;
    proxy_next_upstream_timeout 5s;
    proxy_socket_keepalive on;
    proxy_http_version 1.1;
$parts
}
""")


def http(what: str, parts: Sequence[str], folder: str) -> str:
    """The block with these parts; `folder` belongs to the user that nginx runs as."""
    return HTTP.substitute(what=what, folder=folder, parts="\n".join(parts).rstrip("\n"))
