"""The role nginx beside the machine's own nginx: whose service that is, and when it is switched off."""

import os
from pathlib import Path

import pytest

from tests.helpers.one_role import CAN_RUN, OneRole

PROGRAMS = ("/usr/sbin/nginx", "/usr/lib/nginx/modules/ngx_stream_module.so", "/usr/sbin/nft")


@pytest.mark.skipif(
    not CAN_RUN or not all(map(os.path.exists, PROGRAMS)),
    reason="needs root, a mount namespace of its own, nginx with its stream module, and nft",
)
@pytest.mark.timeout(120)
def test_nginx_that_came_by_homelab_is_switched_off_once_and_is_its_owner_s_from_then_on(tmp_path: Path) -> None:
    """Without a receipt, as when the balancer was of another kind meanwhile."""
    machine = OneRole(tmp_path, "nginx", "install.yml")
    (machine.etc / "homelab-nginx").mkdir()
    (machine.etc / "homelab-nginx" / "brought-along").write_text("# Managed by homelab.\n")
    off = ["disable nginx.service", "stop nginx.service"]
    for _ in range(2):
        done = machine.run()
        assert done.returncode == 0, done.stdout + done.stderr
        assert machine.told == off
