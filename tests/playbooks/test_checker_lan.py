"""The checker at work: real rules of a kernel, a real nginx, servers that die, hang, drain and come back."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.checkout import ROOT

PATH = "/usr/sbin:/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin:/bin"
NAMESPACES = ["setpriv", "--pdeathsig", "KILL", "unshare", "--fork", "--mount", "--net", "--pid"]
STORIES = {
    "nftables": ("dead", "drained", "all_down", "hands", "weights"),
    "nginx": ("dead", "drained", "all_down", "hands", "refused", "weights"),
}


@pytest.mark.parametrize(("kind", "story"), [(kind, story) for kind, stories in STORIES.items() for story in stories])
def test_a_story(tmp_path: Path, kind: str, story: str) -> None:
    needed = ["unshare", "setpriv", "ip", "nft", *(["nginx"] if kind == "nginx" else [])]
    if missing := [name for name in needed if shutil.which(name, path=PATH) is None]:
        pytest.skip(f"not installed here: {', '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("network namespaces with rules of their own need root")
    if kind == "nginx" and not Path("/usr/lib/nginx/modules/ngx_stream_module.so").exists():
        pytest.skip("not installed here: libnginx-mod-stream")
    # nginx's processes, which are not root, read their configuration there.
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    command = [*NAMESPACES, "--mount-proc", "--kill-child", sys.executable, "-m", "tests.helpers.checker_stories"]
    done = subprocess.run([*command, story, kind, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
