"""What of a bundle is built from which Go module, and the texts that this needs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

GO_MOD = "go.mod"
KUBERNETES = "k8s.io/kubernetes"
KUBERNETES_PROGRAMS = (
    "kubeadm",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)
ETCD_FOLDERS = {"etcd": "server", "etcdctl": "etcdctl", "etcdutl": "etcdutl"}
CNI_MODULE = "github.com/containernetworking/plugins"
# kubeadm names no version of these.
CNI_VERSION = "1.9.1"
CNI_FOLDERS = {"bridge": "main", "loopback": "main", "host-local": "ipam", "portmap": "meta"}
# Both are asked at run time; without them kubeadm takes itself for an unreleased version.
VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
# `tool` lines came with it.
LEAST_GO = "1.24"
# The suite whose nft goes beside kube-proxy, as in the project's own image.
NFT_SUITE = "trixie"

# The first process of every pod: it holds the pod's namespaces, and waits for children that were left behind.
PAUSE = """\
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// kubeadm's look at the cluster before an upgrade runs it so, and waits for its end.
	if len(os.Args) > 1 && os.Args[1] == "-v" {
		os.Stdout.WriteString("pause\\n")
		return
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		for {
			child, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if err != syscall.EINTR && (err != nil || child <= 0) {
				break
			}
		}
	}
}
"""

_STAGING = re.compile(r"^\s*(?:replace\s+)?(k8s\.io/\S+)\s+=>\s+\./staging/", re.MULTILINE)
_KEPT = re.compile(r"^(?:go|godebug)\s+\S+$", re.MULTILINE)
_NFT = re.compile(r"usr/sbin/nft|usr/lib/[^/]+/(?:lib[^/]+\.so(?:\.[^/]+)?|ld-linux[^/]*)|usr/lib64/ld-linux[^/]*")
# What a Debian root has and its packages do not bring: the loader is looked for in /lib64.
MERGED = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}


@dataclass(frozen=True)
class Module:
    """A Go module of ours that names others: its files, and the packages to build by their names."""

    name: str
    files: Mapping[str, str]
    packages: Mapping[str, str]
    flags: str = "-s -w"


def kubernetes_module(version: str, upstream: str) -> Module:
    """The module for Kubernetes 1.X.Y; `upstream` is the go.mod of k8s.io/kubernetes.

    There the staging modules are folders; published, they are k8s.io/... v0.X.Y.
    """
    staging = sorted(set(_STAGING.findall(upstream)))
    replaced = [f"replace {name} => {name} v0.{version.removeprefix('1.')}" for name in staging]
    packages = {name: f"{KUBERNETES}/cmd/{name}" for name in KUBERNETES_PROGRAMS}
    head = _KEPT.findall(upstream)
    text = _module_text("kubernetes", head, {KUBERNETES: version}, packages.values(), replaced)
    return Module("kubernetes", {GO_MOD: text}, packages, f"-s -w {version_flags(version)}")


def version_flags(version: str) -> str:
    """The linker's flags that tell the programs of Kubernetes which version they are."""
    major, minor, _ = version.split(".")
    values = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return " ".join(f"-X {package}.{name}={value}" for package in VERSION_PACKAGES for name, value in values.items())


def etcd_module(version: str) -> Module:
    """The module for etcd and its two tools."""
    packages = {name: f"go.etcd.io/etcd/{folder}/v3" for name, folder in ETCD_FOLDERS.items()}
    text = _module_text("etcd", [f"go {LEAST_GO}"], dict.fromkeys(packages.values(), version), packages.values())
    return Module("etcd", {GO_MOD: text}, packages)


def coredns_module(version: str) -> Module:
    """The module for CoreDNS, with all its plugins."""
    package = "github.com/coredns/coredns"
    text = _module_text("coredns", [f"go {LEAST_GO}"], {package: version}, [package])
    return Module("coredns", {GO_MOD: text}, {"coredns": package})


def cni_module() -> Module:
    """The module for the CNI plugins."""
    packages = {name: f"{CNI_MODULE}/plugins/{folder}/{name}" for name, folder in CNI_FOLDERS.items()}
    text = _module_text("cni", [f"go {LEAST_GO}"], {CNI_MODULE: CNI_VERSION}, packages.values())
    return Module("cni", {GO_MOD: text}, packages)


def pause_module() -> Module:
    """The module for the pause program, whose source is ours."""
    return Module(
        "pause", {GO_MOD: _module_text("pause", [f"go {LEAST_GO}"], {}, []), "main.go": PAUSE}, {"pause": "."}
    )


def belongs_to_nft(path: str) -> bool:
    """Whether a file of the extracted package nftables and what it depends on is needed to run nft."""
    return _NFT.fullmatch(path) is not None


def _module_text(
    name: str, head: Sequence[str], required: Mapping[str, str], tools: Iterable[str], more: Sequence[str] = ()
) -> str:
    lines = [f"module homelab/{name}", *head]
    lines += [f"require {module} v{version}" for module, version in required.items()]
    lines += [*more, *(f"tool {package}" for package in tools)]
    return "\n".join(lines) + "\n"
