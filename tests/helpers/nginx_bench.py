"""nginx on loopback with a configuration of ours."""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.haproxy_bench import SECONDS

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin")
MODULES = Path("/usr/lib/nginx/modules")
IS_HERE = NGINX is not None and (MODULES / "ngx_stream_module.so").exists()


def tested(file: Path) -> str:
    """What nginx says of a configuration; empty when it is clean."""
    assert NGINX is not None
    words = [NGINX, "-t", "-q", "-e", "stderr", "-g", "user root; pid /dev/null;", "-c", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=20)
    return done.stderr or (f"ended {done.returncode}" if done.returncode else "")


@contextmanager
def running(text: str, folder: Path, ready: Callable[[], bool]) -> Iterator[None]:
    """A real nginx with this configuration, once it has all its ports and `ready` says so."""
    assert NGINX is not None
    file, log = folder / "nginx.conf", folder / "nginx.log"
    file.write_text(text, encoding="utf-8")
    with log.open("w", encoding="utf-8") as said:
        options = f"daemon off; master_process off; user root; pid {folder}/nginx.pid;"
        words = [NGINX, "-e", "stderr", "-c", str(file), "-g", options]
        child = subprocess.Popen(words, stdout=said, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + SECONDS
        # It tries for a while where somebody else listens, who would pass for it.
        while "event method" not in log.read_text() or not ready():
            assert child.poll() is None and time.monotonic() < deadline, log.read_text()
            threading.Event().wait(0.05)
        yield
    finally:
        child.kill()
        child.wait()
