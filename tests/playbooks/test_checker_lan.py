"""The checker at work: real rules of a kernel, a real nginx, servers that die, hang, drain and come back."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.helpers.apart import NAMESPACES
from tests.helpers.checkout import ROOT

PATH = "/usr/sbin:/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin:/bin"
STORIES = {
    "nftables": ("dead", "drained", "all_down", "hands", "weights", "whole"),
    "nginx": ("dead", "drained", "all_down", "hands", "refused", "weights", "web"),
}


@pytest.fixture
def work() -> Iterator[Path]:
    """A folder that nginx's processes can read, which are not root; pytest shuts its own to everybody else."""
    with TemporaryDirectory(prefix="homelab-checker-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


# One story of each kind is quick to run always; they take up to 15 s each.
ALWAYS = (("nginx", "refused"), ("nftables", "whole"))


@pytest.mark.parametrize(
    ("kind", "story"),
    [
        pytest.param(kind, story, marks=() if (kind, story) in ALWAYS else pytest.mark.thorough)
        for kind, stories in STORIES.items()
        for story in stories
    ],
)
def test_a_story(work: Path, kind: str, story: str) -> None:
    needed = ["unshare", "setpriv", "ip", "nft", *(["nginx"] if kind == "nginx" else [])]
    if missing := [name for name in needed if shutil.which(name, path=PATH) is None]:
        pytest.skip(f"not installed here: {', '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("network namespaces with rules of their own need root")
    if kind == "nginx" and not Path("/usr/lib/nginx/modules/ngx_stream_module.so").exists():
        pytest.skip("not installed here: libnginx-mod-stream")
    command = [*NAMESPACES, "--mount", "--net", "--pid", sys.executable, "-m", "tests.helpers.checker_stories"]
    done = subprocess.run([*command, story, kind, str(work)], cwd=ROOT, capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
