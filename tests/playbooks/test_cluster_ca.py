"""What the role cluster_ca makes for balancers of layer 7, by the stand-in's kubeadm."""

import shutil
import tarfile
from pathlib import Path

import pytest
from cryptography import x509

from homelab.rehearsal.kubernetes import FOLDER, make_bundle
from tests.helpers.one_role import CAN_RUN, OneRole

BALANCERS = "kubernetes/pki/homelab-balancers"
RECEIPT = {"role": "cluster_ca", "files": [f"/etc/{BALANCERS}/kubeadm.yaml"]}
# What the role lays down before.
CONFIGURATION = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint:
  advertiseAddress: 192.168.2.21
nodeRegistration:
  name: cp1
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.36.3
controlPlaneEndpoint: api.lab.example:6443
"""


@pytest.fixture
def machine(tmp_path: Path) -> OneRole:
    """A first control plane, before `kubeadm init`."""
    made = OneRole(tmp_path, "cluster_ca", "balancers.yml", {"receipt": RECEIPT})
    with tarfile.open(make_bundle(tmp_path, "1.36.3")) as bundle:
        bundle.extractall(tmp_path, filter="data")
    shutil.copy2(tmp_path / FOLDER / "bin" / "kubeadm", tmp_path / "bin")
    (made.etc / "kubernetes").mkdir()
    (made.etc / "kubernetes" / "kubeadm.yaml").write_text(CONFIGURATION)
    done = made.inside("kubeadm", "init", "phase", "certs", "ca", "--config", "/etc/kubernetes/kubeadm.yaml")
    assert done.returncode == 0, done.stderr
    return made


def made_for(machine: OneRole, address: str) -> set[str]:
    """Runs the part of the role, to its end; the addresses of the certificate that balancers show."""
    done = machine.run(
        cluster_ca_found={"files": []},
        cluster_ca_address="192.168.2.21",
        cluster_ca_api_name="api.lab.example",
        cluster_ca_api_address=address,
        cluster_ca_version="1.36.3",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    certificate = x509.load_pem_x509_certificate((machine.etc / BALANCERS / "apiserver.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(found) for found in names.get_values_for_type(x509.IPAddress)}


@pytest.mark.thorough
@pytest.mark.skipif(not CAN_RUN, reason="needs root and a mount namespace of its own")
@pytest.mark.timeout(180)
def test_a_certificate_of_other_names_is_made_anew_after_a_run_that_was_cut_off(machine: OneRole) -> None:
    assert "192.168.2.100" in made_for(machine, "192.168.2.100")
    # As a run leaves it that ended when no more than the new configuration lay there.
    configuration = machine.etc / BALANCERS / "kubeadm.yaml"
    configuration.write_text(configuration.read_text().replace("192.168.2.100", "192.168.2.101"))
    found = made_for(machine, "192.168.2.101")
    assert "192.168.2.101" in found
    assert "192.168.2.100" not in found
