"""Where the image of a lab lies on a datastore. Pure."""

from homelab.lab import Lab


def images_of(lab_name: str) -> str:
    """The folder of a lab's images on a datastore."""
    return f"homelab/{lab_name}/images"


def image_folder(lab: Lab) -> str:
    """The folder of images on a datastore."""
    return images_of(lab.name)


def image_path(lab: Lab) -> str:
    """The image's descriptor, relative to its datastore."""
    return f"{image_folder(lab)}/{lab.image.sha256}.vmdk"


def image_datastore(lab: Lab, own: str) -> str:
    """The datastore that the image of a VM lies on: the shared one, or the VM's own where there is none."""
    return lab.nfs[0].datastore if lab.nfs else own
