"""The names of images, as `kubeadm config images list` prints them."""

import pytest

from homelab.formats.kubernetes.images import image_name, image_names

# What kubeadm v1.36.3 printed.
LISTING = """\
registry.k8s.io/kube-apiserver:v1.36.3
registry.k8s.io/kube-controller-manager:v1.36.3
registry.k8s.io/kube-scheduler:v1.36.3
registry.k8s.io/kube-proxy:v1.36.3
registry.k8s.io/coredns/coredns:v1.14.2
registry.k8s.io/pause:3.10.2
registry.k8s.io/etcd:3.6.8-0
"""


def test_the_list_says_what_there_is_and_in_which_version() -> None:
    found = {image.name: image.version for image in image_names(LISTING)}
    assert found == {
        "kube-apiserver": "1.36.3",
        "kube-controller-manager": "1.36.3",
        "kube-scheduler": "1.36.3",
        "kube-proxy": "1.36.3",
        "coredns": "1.14.2",
        "pause": "3.10.2",
        "etcd": "3.6.8",
    }


def test_a_name_is_given_back_as_it_was() -> None:
    assert [str(image) for image in image_names(LISTING)] == LISTING.split()
    assert image_name("registry.k8s.io/coredns/coredns:v1.14.2").file == "images/coredns.tar"


@pytest.mark.parametrize(
    "text", ["pause", "pause:3.10", "registry.k8s.io/pause", "registry:5000/pause", "I1130 14:00:00"]
)
def test_a_line_that_names_no_image_is_a_mistake(text: str) -> None:
    with pytest.raises(ValueError, match="not the name of an image"):
        image_names(text)
