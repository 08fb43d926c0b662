"""kubeadm's commands, just those that the roles use; anything else is refused as kubeadm refuses it."""

import base64
import json
import secrets
import shutil
import string
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from . import access, client, configuration, phases, pki, plain_yaml
from .apiserver import parse_flags, seconds
from .phases import PhaseError, say
from .store import EXCHANGE, MEMBERS, STATE, Store

# What kubeadm v1.36 names; a stand-in pulls none of them.
IMAGES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
OTHER_IMAGES = (
    "registry.k8s.io/coredns/coredns:v1.14.2",
    "registry.k8s.io/pause:3.10.2",
    "registry.k8s.io/etcd:3.6.8-0",
)
LETTERS = string.ascii_lowercase + string.digits


@dataclass
class Call:
    """One call: the flags by name, and the stand-in's version."""

    version: str
    flags: dict[str, str] = field(default_factory=dict)

    def config(self) -> configuration.Configuration:
        """The configuration that --config names."""
        if "--config" not in self.flags:
            raise configuration.ConfigurationError("--config is required by the stand-in")
        return configuration.read(self.flags["--config"])


def show_version(call: Call) -> None:
    """`kubeadm version`."""
    short = call.flags.get("-o", call.flags.get("--output")) == "short"
    say(call.version if short else f"kubeadm version: {call.version}")


def validate(call: Call) -> None:
    """`kubeadm config validate`."""
    call.config()
    say("ok")


def list_images(call: Call) -> None:
    """`kubeadm config images list`."""
    version = call.flags.get("--kubernetes-version") or call.version.partition("+")[0]
    for name in IMAGES:
        say(f"registry.k8s.io/{name}:v{version.removeprefix('v')}")
    for image in OTHER_IMAGES:
        say(image)


def make_authority(call: Call) -> None:
    """`kubeadm init phase certs ca`."""
    _own_folder(call.config())
    phases.authority("ca")


def make_front_proxy_authority(call: Call) -> None:
    """`kubeadm init phase certs front-proxy-ca`."""
    _own_folder(call.config())
    phases.authority("front-proxy-ca")


def make_certificate(name: str) -> Callable[[Call], None]:
    """`kubeadm init phase certs NAME`, in the folder that the configuration names; its authority has to be there."""

    def make(call: Call) -> None:
        config = call.config()
        phases.certificate(config, next(leaf for leaf in phases.leaves(config) if leaf.file == name))

    return make


def _own_folder(config: configuration.Configuration) -> configuration.Configuration:
    """The configuration, when its certificates lie where kubeadm itself has them."""
    if config.certificates is not None:
        raise configuration.ConfigurationError(
            "certificatesDir: the stand-in reads it in `certs apiserver` and the like only"
        )
    return config


def make_admin_kubeconfig(call: Call) -> None:
    """`kubeadm init phase kubeconfig admin`: of flags, as it takes them where no configuration is at hand."""
    endpoint = {"advertiseAddress": call.flags.get("--apiserver-advertise-address")}
    cluster = {"controlPlaneEndpoint": call.flags.get("--control-plane-endpoint")}
    phases.kubeconfigs(configuration.Configuration({"localAPIEndpoint": endpoint}, {}, cluster), "admin.conf")


def upload_certificates(call: Call) -> None:
    """`kubeadm init phase upload-certs`."""
    key = call.config().init.get("certificateKey") if "--config" in call.flags else None
    if "--upload-certs" not in call.flags:
        say("[upload-certs] Skipping phase. Please see --upload-certs")
        return
    say(f"[upload-certs] Using certificate key:\n{phases.upload_certificates(key)}")


def create_token(call: Call) -> None:
    """`kubeadm token create`."""
    identifier, password = ("".join(secrets.choice(LETTERS) for _ in range(length)) for length in (6, 16))
    encoded = {"token-id": identifier, "token-secret": password}
    data = {name: base64.b64encode(value.encode()).decode() for name, value in encoded.items()}
    lifetime = timedelta(seconds=seconds(call.flags.get("--ttl", "24h")))
    phases.upload(f"{access.TOKENS}{identifier}", phases.secret(f"bootstrap-token-{identifier}", lifetime, data))
    token = f"{identifier}.{password}"
    if "--print-join-command" not in call.flags:
        say(token)
        return
    api = client.from_file(phases.ADMIN)
    pin = pki.public_key_hash(api.authority or "")
    say(f"kubeadm join {api.server.removeprefix('https://')} --token {token} --discovery-token-ca-cert-hash {pin} ")


def init(call: Call) -> None:
    """`kubeadm init`: the first control plane."""
    config = _own_folder(call.config())
    say(f"[init] Using Kubernetes version: {call.version}, a stand-in")
    phases.preflight(config, _ignored(call))
    phases.authorities()
    phases.certificates(config)
    phases.kubeconfigs(config)
    phases.control_plane(config)
    phases.start_kubelet(config)
    phases.wait_for_server(config)
    say('[upload-config] Storing the configuration used in ConfigMap "kubeadm-config"')
    cluster = {**config.cluster, "kind": "ClusterConfiguration", "apiVersion": configuration.API_VERSION}
    cluster_text = plain_yaml.dump(cluster)
    phases.upload(
        access.KUBEADM_CONFIG,
        phases.config_map("kube-system", "kubeadm-config", {"ClusterConfiguration": cluster_text}),
    )
    if "--upload-certs" in call.flags:
        key = phases.upload_certificates(config.init.get("certificateKey"))
        if "--skip-certificate-key-print" not in call.flags:
            say(f"[upload-certs] Using certificate key:\n{key}")
    phases.mark_control_plane(config)
    info = client.kubeconfig("", "", f"https://{config.endpoint}", (pki.PKI / "ca.crt").read_bytes(), None)
    phases.upload(access.CLUSTER_INFO, phases.config_map("kube-public", "cluster-info", {"kubeconfig": info}))
    say("\nYour Kubernetes control-plane has initialized successfully!")


def join(call: Call) -> None:
    """`kubeadm join`: a further control plane, or a worker."""
    config = call.config()
    phases.preflight(config, _ignored(call))
    discovery = (config.join.get("discovery") or {}).get("bootstrapToken")
    if not discovery:
        raise PhaseError("a stand-in needs discovery.bootstrapToken")
    server, authority = discover(f"https://{discovery['apiServerEndpoint']}", discovery.get("caCertHashes") or [])
    api = client.Api(server, authority, token=discovery["token"])
    if config.join.get("controlPlane"):
        join_as_control_plane(config, server, authority, api)
    else:
        join_as_worker(config, server, authority, api)


def join_as_worker(config: configuration.Configuration, server: str, authority: str, api: client.Api) -> None:
    """A kubelet with a certificate of its own, and nothing else."""
    identity = json.loads(api.request("POST", f"{access.IDENTITIES}{config.node}", {}))
    phases.worker(config, server, authority, (identity["certificate"].encode(), identity["key"].encode()))
    phases.start_kubelet(config)
    phases.wait_for_node(config)
    say("\nThis node has joined the cluster")


def join_as_control_plane(config: configuration.Configuration, server: str, authority: str, api: client.Api) -> None:
    """The authorities' keys, an API server, and a place among the members."""
    certificate_key = config.join["controlPlane"].get("certificateKey")
    if not certificate_key:
        raise PhaseError("a stand-in needs controlPlane.certificateKey")
    cluster = api.get(access.KUBEADM_CONFIG)["data"]["ClusterConfiguration"]
    config = configuration.Configuration({}, config.join, plain_yaml.load(cluster))
    download_certificates(api, certificate_key)
    phases.certificates(config)
    phases.kubeconfigs(config)
    say("[etcd] Fetching what the cluster knows")
    identity = "".join((pki.PKI / f"apiserver-kubelet-client.{end}").read_text() for end in ("crt", "key"))
    known = client.Api(server, authority, identity).request("POST", EXCHANGE, {})
    Store(STATE).merge(json.loads(known))
    phases.control_plane(config)
    phases.start_kubelet(config)
    phases.wait_for_server(config)
    phases.mark_control_plane(config)
    say("\nThis node has joined the cluster and a new control plane instance was created")


def discover(server: str, pins: list[str]) -> tuple[str, str]:
    """The cluster's server and its authority, taken from a stranger and believed only if the key is pinned."""
    say(f"[discovery] Asking {server} for the cluster's information")
    stranger = client.Api(server, None)
    info = client.wait_for(
        "couldn't validate the identity of the API Server", lambda: stranger.get(access.CLUSTER_INFO), 30
    )
    known = client.from_kubeconfig(info["data"]["kubeconfig"])
    authority = known.authority or ""
    found = pki.public_key_hash(authority)
    if found not in pins:
        raise PhaseError(f"cluster CA found in cluster-info ConfigMap is invalid: public key {found} is not pinned")
    if client.Api(server, authority).get(access.CLUSTER_INFO) != info:
        raise PhaseError("the cluster's information changed while it was being verified")
    return known.server, authority


def download_certificates(api: client.Api, key: str) -> None:
    """Fetches the authorities' and service accounts' keys with the token, and opens them with the certificate key."""
    data = api.get(access.KUBEADM_CERTS)["data"]
    for name in pki.SHARED:
        content = pki.decrypt(data[name.replace("/", "-")].encode(), key)
        if not content.startswith(b"-----BEGIN "):
            raise PhaseError(f"error decrypting {name}: the certificate key is not the one it was stored with")
        pki.write_secret(pki.PKI / name, content, 0o644 if name.endswith(".crt") else 0o600)
    say('[download-certs] Saving the certificates to the folder: "/etc/kubernetes/pki"')


def reset(call: Call) -> None:
    """`kubeadm reset`: takes away what init and join made, and leaves the members."""
    if not {"-f", "--force"} & call.flags.keys():
        raise PhaseError("aborted reset operation: the stand-in asks nothing; use -f")
    try:
        pod = plain_yaml.load(phases.MANIFEST.read_text())
        flags = parse_flags(pod["spec"]["containers"][0]["command"])
        member = f"{MEMBERS}{flags['advertise-address']}:{flags['secure-port']}"
        client.from_file(phases.ADMIN).request("DELETE", member)
    except (OSError, client.ApiError) as error:
        say(f"[reset] could not leave the members: {error}")
    subprocess.run(["systemctl", "stop", "kubelet"], capture_output=True)
    for folder in (phases.MANIFEST.parent, pki.PKI, phases.KUBELET, phases.ETCD):
        for path in folder.iterdir() if folder.exists() else ():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in phases.ETC.glob("*.conf"):
        path.unlink()
    say("[reset] Deleted what kubeadm made")


Flags = tuple[set[str], set[str]]
CONFIG = {"--config"}
COMMANDS: dict[tuple[str, ...], tuple[Callable[[Call], None], Flags]] = {
    ("version",): (show_version, ({"-o", "--output"}, set())),
    ("config", "validate"): (validate, (CONFIG, set())),
    ("config", "images", "list"): (list_images, (CONFIG | {"--kubernetes-version"}, set())),
    ("init", "phase", "certs", "ca"): (make_authority, (CONFIG, set())),
    ("init", "phase", "certs", "front-proxy-ca"): (make_front_proxy_authority, (CONFIG, set())),
    ("init", "phase", "certs", "front-proxy-client"): (make_certificate("front-proxy-client"), (CONFIG, set())),
    ("init", "phase", "certs", "apiserver"): (make_certificate("apiserver"), (CONFIG, set())),
    ("init", "phase", "kubeconfig", "admin"): (
        make_admin_kubeconfig,
        ({"--apiserver-advertise-address", "--control-plane-endpoint", "--kubernetes-version"}, set()),
    ),
    ("init", "phase", "upload-certs"): (upload_certificates, (CONFIG, {"--upload-certs"})),
    ("init",): (
        init,
        (
            CONFIG | {"--ignore-preflight-errors"},
            {"--upload-certs", "--skip-token-print", "--skip-certificate-key-print"},
        ),
    ),
    ("join",): (join, (CONFIG | {"--ignore-preflight-errors"}, set())),
    ("token", "create"): (create_token, ({"--ttl", "--description"}, {"--print-join-command"})),
    ("reset",): (reset, (set(), {"-f", "--force"})),
}


def main(arguments: list[str], version: str) -> int:
    """Runs one command; 1 and kubeadm's kind of message when it fails."""
    try:
        command, call = parse(arguments, version)
        command(call)
    except (PhaseError, pki.PkiError, configuration.ConfigurationError, client.ApiError, OSError) as error:
        sys.stderr.write(f"{error}\nerror: kubeadm (a stand-in) {' '.join(arguments[:3])} failed\n")
        return 1
    return 0


def parse(arguments: list[str], version: str) -> tuple[Callable[[Call], None], Call]:
    """The command and its flags; PhaseError for what is unknown."""
    words = arguments[:4]
    for length in range(len(words), 0, -1):
        if tuple(words[:length]) in COMMANDS:
            command, (valued, plain) = COMMANDS[tuple(words[:length])]
            return command, Call(version, _flags(arguments[length:], valued, plain))
    raise PhaseError(f'unknown command "{" ".join(arguments[:4])}" for "kubeadm"')


def _flags(arguments: list[str], valued: set[str], plain: set[str]) -> dict[str, str]:
    flags, rest = {}, iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if name in plain:
            flags[name] = value or "true"
        elif name in valued:
            flags[name] = value if equals else next(rest, "")
        elif argument.startswith("-"):
            raise PhaseError(f"unknown flag: {name}")
        else:
            raise PhaseError(f'unknown command "{argument}" for "kubeadm"')
    return flags


def _ignored(call: Call) -> set[str]:
    return set(filter(None, call.flags.get("--ignore-preflight-errors", "").split(",")))
