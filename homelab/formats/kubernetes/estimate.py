"""How long the rest of a bundle takes: the parts' weights, measured once, by the pace that this machine shows."""

from collections.abc import Iterable, Mapping

# Seconds on two cores, nothing in Go's cache. Parts of the same kind follow each other: the first pays for what they
# share.
FROM_SOURCE = {
    "kubernetes modules": 35.0,
    "kubeadm": 97.0,
    "kube-apiserver": 111.0,
    "kube-controller-manager": 25.0,
    "kube-scheduler": 4.0,
    "kube-proxy": 6.0,
    "kubelet": 37.0,
    "kubectl": 29.0,
    "etcd modules": 10.0,
    "etcd": 20.0,
    "etcdctl": 6.0,
    "etcdutl": 5.0,
    "coredns modules": 20.0,
    "coredns": 159.0,
    "cni modules": 5.0,
    "bridge": 8.0,
    "host-local": 2.0,
    "portmap": 3.0,
    "loopback": 2.0,
    "pause": 2.0,
    "nft": 21.0,
    "kube-apiserver image": 6.0,
    "kube-controller-manager image": 5.0,
    "kube-scheduler image": 4.0,
    "kube-proxy image": 4.0,
    "etcd image": 3.0,
    "coredns image": 4.0,
    "pause image": 1.0,
    "bundle": 5.0,
}
# Seconds with ten megabytes in each.
FROM_COMMUNITY = {
    "kubeadm": 7.0,
    "kubelet": 6.0,
    "kubectl": 6.0,
    "etcd": 3.0,
    "cni": 5.0,
    "kube-apiserver image": 3.0,
    "kube-controller-manager image": 2.0,
    "kube-scheduler image": 2.0,
    "kube-proxy image": 3.0,
    "coredns image": 2.0,
    "pause image": 1.0,
    "etcd image": 3.0,
    "bundle": 5.0,
}
# As long as little was seen, the table counts as much as so many seconds of what was.
PRIOR_SECONDS = 60.0


def remaining(
    weights: Mapping[str, float], took: Mapping[str, float], left: Iterable[str], now: str = "", past: float = 0
) -> float:
    """Seconds that the parts in `left` will take, by their weights and by what the parts in `took` took here.

    `now` is the one of them that is being made, for `past` seconds already.
    """
    expected = sum(weights.get(name, 0.0) for name in took)
    pace = (sum(took.values()) + PRIOR_SECONDS) / (expected + PRIOR_SECONDS)
    own = pace * weights.get(now, 0.0)
    return max(own - past, 0.0) + pace * sum(weights.get(name, 0.0) for name in left if name != now)


def in_words(seconds: float) -> str:
    """A span as people say it: no more exact than an estimate is."""
    if seconds < 10:
        return "a few seconds"
    return f"{round(seconds, -1):.0f} s" if seconds < 95 else f"{seconds / 60:.0f} min"
