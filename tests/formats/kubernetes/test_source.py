"""The Go modules that a bundle is built from."""

import re

import pytest

from homelab.formats.kubernetes.source import (
    belongs_to_nft,
    cni_module,
    coredns_module,
    etcd_module,
    kubernetes_module,
    pause_module,
    version_flags,
)

# As k8s.io/kubernetes v1.36.3 has it (two of its 33 staging modules, and one requirement).
UPSTREAM = """\
module k8s.io/kubernetes

go 1.26.0

godebug default=go1.26

require (
	k8s.io/api v0.0.0
	k8s.io/klog/v2 v2.140.0
)

replace (
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/component-base => ./staging/src/k8s.io/component-base
)
"""


def test_staging_modules_have_the_number_that_they_are_published_under() -> None:
    lines = kubernetes_module("1.36.3", UPSTREAM).files["go.mod"].splitlines()
    assert lines[:4] == [
        "module homelab/kubernetes",
        "go 1.26.0",
        "godebug default=go1.26",
        "require k8s.io/kubernetes v1.36.3",
    ]
    replaced = [line for line in lines if line.startswith("replace ")]
    assert replaced == [
        "replace k8s.io/api => k8s.io/api v0.36.3",
        "replace k8s.io/component-base => k8s.io/component-base v0.36.3",
    ]
    assert "tool k8s.io/kubernetes/cmd/kubelet" in lines


def test_programs_of_kubernetes_are_told_their_version() -> None:
    flags = kubernetes_module("1.36.3", UPSTREAM).flags
    assert version_flags("1.36.3") in flags
    assert "-X k8s.io/component-base/version.gitVersion=v1.36.3" in flags
    assert "-X k8s.io/component-base/version.gitMinor=36" in flags


@pytest.mark.parametrize(
    "module", [etcd_module("3.6.8"), coredns_module("1.14.2"), cni_module(), pause_module()], ids=lambda one: one.name
)
def test_every_package_to_build_is_a_tool_of_its_module(module) -> None:  # type: ignore[no-untyped-def]
    tools = re.findall(r"^tool (\S+)$", module.files["go.mod"], re.MULTILINE)
    assert tools == [package for package in module.packages.values() if package != "."]


def test_etcd_s_server_lies_where_its_modules_have_it() -> None:
    assert etcd_module("3.6.8").packages == {
        "etcd": "go.etcd.io/etcd/server/v3",
        "etcdctl": "go.etcd.io/etcd/etcdctl/v3",
        "etcdutl": "go.etcd.io/etcd/etcdutl/v3",
    }


# Files of Debian 13's packages nftables, libc6, libnftables1 and libc-gconv-modules-extra, and whether nft needs them.
@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("usr/sbin/nft", True),
        ("usr/lib/x86_64-linux-gnu/libnftables.so.1", True),
        ("usr/lib/x86_64-linux-gnu/libnftables.so.1.1.0", True),
        ("usr/lib/x86_64-linux-gnu/libc.so.6", True),
        ("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", True),
        ("usr/lib64/ld-linux-x86-64.so.2", True),
        ("usr/lib/x86_64-linux-gnu/gconv/BIG5.so", False),
        ("usr/share/doc/nftables/changelog.gz", False),
        ("usr/bin/ldd", False),
        ("etc/nftables.conf", False),
    ],
)
def test_kube_proxy_s_image_holds_no_more_than_nft_needs(path: str, needed: bool) -> None:
    assert belongs_to_nft(path) is needed
