"""Images of programs, taken and run by a real containerd."""

import shutil
import subprocess
from pathlib import Path

import pytest

from homelab.formats.kubernetes.images import image_name
from homelab.ports.files.home import cache_folder
from homelab.ports.kubernetes.images import program_image
from homelab.ports.kubernetes.nft import fetch_nft
from homelab.rehearsal.guests.roots import ensure_root
from tests.helpers.containerd import CAN_RUN, with_containerd

pytestmark = [
    pytest.mark.skipif(not CAN_RUN, reason="needs root and mmdebstrap"),
    pytest.mark.thorough,
    pytest.mark.timeout(900),
]
# Without a distribution below, so it has to need none.
PROGRAM = "int main(int count, char **words) { return puts(count > 1 ? words[1] : words[0]) < 0; }\n"
IMAGE = "registry.k8s.io/kube-proxy:v1.36.3"
RUN = "ctr --namespace=k8s.io run --rm --snapshotter=native"
SCRIPT = f"""
ctr --namespace=k8s.io images import --snapshotter=native /given/image.tar
ctr --namespace=k8s.io images list -q name=={IMAGE}
{RUN} {IMAGE} one
{RUN} {IMAGE} two kube-proxy said
{RUN} {IMAGE} three nft --version
"""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the archive of an image that has a program and nft in it."""
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("given")
    program = folder / "kube-proxy"
    compiled = ["cc", "-static", "-include", "stdio.h", "-x", "c", "-", "-o", str(program)]
    subprocess.run(compiled, input=PROGRAM, text=True, check=True)
    fetch_nft(folder)
    program_image(image_name(IMAGE), [program], folder, folder / "image.tar")
    return folder


def test_containerd_takes_an_image_under_its_name_and_runs_it(given: Path, tmp_path: Path) -> None:
    root = ensure_root(cache_folder(), print).path
    said = with_containerd(root, given, tmp_path, ["sh", "-ec", SCRIPT]).splitlines()
    assert said[0].endswith("...done")
    assert said[1:4] == [IMAGE, "/usr/local/bin/kube-proxy", "said"]
    assert said[4].startswith("nftables v1.")


def test_an_image_is_no_larger_than_what_is_in_it(given: Path) -> None:
    program = (given / "kube-proxy").stat().st_size
    assert (given / "image.tar").stat().st_size < program + 5_000_000
