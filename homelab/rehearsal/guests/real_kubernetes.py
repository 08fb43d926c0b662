"""What a guest needs so that a real kubelet and a real containerd run in a container.

None of it is a role's business: it comes by the doors that any user has, a file in containerd's conf.d and patches for
kubeadm. Sources: containerd's docs/cri/config.md, kubeadm's --patches, and a cluster that ran so.
"""

import json
from pathlib import Path

CONTAINERD = "etc/containerd/conf.d/rehearsal.toml"
PATCH = "etc/kubernetes/patches/kubeletconfiguration+strategic.yaml"
# What containers write lies beside the guest's own disk: overlays cannot lie on overlays.
CONTAINERS = "var/lib/containerd"
# A container has no CAP_SYS_RESOURCE, so nothing can get a lower oom_score_adj than its parent; and its systemd has no
# controllers that it could hand on. An imported file takes the place of the whole plugin's section.
CONTAINERD_TEXT = """\
version = 2

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""
KUBELET = {"cgroupDriver": "cgroupfs", "failCgroupV1": False, "failSwapOn": False}


def install(root: Path, pause: str) -> None:
    """Put both files into a guest's root; `pause` is the bundle's name of the pause image."""
    texts = {CONTAINERD: CONTAINERD_TEXT.format(pause=pause), PATCH: json.dumps(KUBELET) + "\n"}
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
