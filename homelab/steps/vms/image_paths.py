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


def image_homes(lab: Lab) -> dict[str, str]:
    """Where the image may be wanted, for a VM's disk is copied on its own datastore.

    The name of the NAS with its datastore, and that of each host whose own datastore VMs may be made on.
    """
    managed = [vm for vm in lab.vms if vm.managed]
    homes = {nas.name: nas.datastore for nas in lab.nfs if any(not lab.is_local(vm) for vm in managed)}
    local = [(host.name, lab.datastore_of(vm)) for vm in managed if lab.is_local(vm) for host in lab.hosts_for(vm)]
    return homes | dict(sorted(local, key=lambda one: [host.name for host in lab.esxi].index(one[0])))


def is_host(lab: Lab, home: str) -> bool:
    """Whether a place of images is a host with a datastore of its own, and not the NAS."""
    return any(host.name == home for host in lab.esxi)
