"""Step `image`: the disk that VMs are copied from lies once on the datastore, under its content hash.

Where every VM of the lab is wanted absent it goes as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from homelab.engine.step import Blocked, Change, Node, Planned, Step, Words
from homelab.errors import HostFault, Interrupted, Refused
from homelab.lab import Image as ImageSource
from homelab.lab import Lab
from homelab.ports.files.home import cache_folder
from homelab.ports.media.images import prepare_image
from homelab.ports.vsphere import Session
from homelab.ports.vsphere.folders import delete_empty_folder, delete_file
from homelab.ports.vsphere.storage import file_size, make_folder, upload
from homelab.ports.world import World

TRANSFER_SECONDS = 3600


def image_folder(lab: Lab) -> str:
    """The folder of images on a datastore."""
    return f"homelab/{lab.name}/images"


def image_path(lab: Lab) -> str:
    """The image's descriptor, relative to its datastore."""
    return f"{image_folder(lab)}/{lab.image.sha256}.vmdk"


def image_datastore(lab: Lab, own: str) -> str:
    """The datastore that the image of a VM lies on: the shared one, or the VM's own where there is none."""
    return lab.nfs[0].datastore if lab.nfs else own


@dataclass(frozen=True)
class UploadImage(Change):
    """Upload the image of this SHA-256 through one host that mounts the datastore; `path` is named by it."""

    datastore: str
    path: str
    source: str
    sha256: str
    via: str

    def _words(self) -> Words:
        return Words(
            sentence=f"upload the image {Path(self.source).name} to the datastore {self.datastore} through {self.via}",
            reason="it is not on the datastore yet",
            undo=f"delete [{self.datastore}] {self.path} and its -flat.vmdk when no VM is to be created any more",
            after=f"[{self.datastore}] {self.path}",
        )


@dataclass(frozen=True)
class RemoveImage(Change):
    """Delete the descriptor and the data of the image, through one host that mounts the datastore."""

    datastore: str
    path: str
    via: str

    def _words(self) -> Words:
        return Words(
            sentence=f"delete the image [{self.datastore}] {self.path} through {self.via}",
            reason="no VM is wanted that would be copied from it",
            undo="homelab bootstrap uploads it again",
            before="present",
            after="absent",
        )


@dataclass(frozen=True)
class ImageState:
    """`via` is the host to go through, None when none mounts the datastore; `whole` when the image is there.

    `rests` when its descriptor or its data is; `users` are the VMs whose disks sit on it.
    """

    via: str | None
    whole: bool
    rests: bool = False
    users: tuple[str, ...] = ()


Changes = UploadImage | RemoveImage


class Image(Step[ImageState, Changes]):
    """One node for each datastore, named after the NAS."""

    name = "image"

    def targets(self, lab: Lab) -> Sequence[str]:
        """The NAS, when there are VMs of ours."""
        return [nas.name for nas in lab.nfs] if any(vm.managed for vm in lab.vms) else []

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """It goes after the VMs."""
        return [Node("vm", vm.name) for vm in lab.vms] if _unwanted(lab) else []

    def settled(self, lab: Lab, target: str) -> Sequence[Node]:
        """All mounts have been tried, and the host that the image goes through has rebooted if it had to."""
        return [*(Node("nfs-datastore", host.name) for host in lab.esxi), Node("reboot", lab.esxi[0].name)]

    def observe(self, world: World, lab: Lab, target: str) -> ImageState:
        """Look for the descriptor, which is written last, through the first host that has the datastore."""
        datastore = lab.nfs[0].datastore
        for name, look in world.reachable_hosts().items():
            nas = look.nas_named(datastore)
            if nas and nas.accessible:
                reader, path = world.reader(name), image_path(lab)
                whole = reader.has_file(datastore, path)
                rests = whole or (_unwanted(lab) and reader.has_file(datastore, _flat(path)))
                return ImageState(name, whole, rests, _users(world, f"[{datastore}] {path}"))
        return ImageState(None, False)

    def plan(self, lab: Lab, target: str, observed: ImageState) -> Sequence[Planned[Changes]]:
        """Upload what is missing; delete what nobody is to be copied from."""
        datastore = lab.nfs[0].datastore
        if observed.via is None:
            return [Blocked(target, f"a host mounts the datastore {datastore}")]
        if _unwanted(lab):
            return self._end(lab, observed.via, observed)
        if observed.whole:
            return []
        return [UploadImage(target, datastore, image_path(lab), lab.image.source, lab.image.sha256, observed.via)]

    def _end(self, lab: Lab, via: str, observed: ImageState) -> Sequence[RemoveImage]:
        if not observed.rests:
            return []
        if observed.users:
            raise Refused(
                f"the disks of {', '.join(observed.users)} sit on the image, so it is not deleted",
                where=f"[{lab.nfs[0].datastore}] {image_path(lab)}",
                advice="Destroy those VMs first, or clone them so that their disks are whole",
            )
        return [RemoveImage(lab.nfs[0].name, lab.nfs[0].datastore, image_path(lab), via)]

    def apply(self, world: World, change: Changes) -> None:
        """Upload or delete it."""
        if isinstance(change, RemoveImage):
            _remove(world, change)
        else:
            self._provide(world, change)

    def _provide(self, world: World, change: UploadImage) -> None:
        """Prepare the pair on this machine, upload the data first and the descriptor last."""
        sentence = f"the image {Path(change.source).name} is prepared"
        image = ImageSource(source=change.source, sha256=change.sha256)
        prepared = prepare_image(image, cache_folder(), PercentReport(world, sentence))
        with world.session(change.via) as session:
            make_folder(session, change.datastore, change.path.rpartition("/")[0])
            _upload(world, session, change.datastore, _flat(change.path), prepared.flat)
            _upload(world, session, change.datastore, change.path, prepared.descriptor)


def _unwanted(lab: Lab) -> bool:
    managed = [vm for vm in lab.vms if vm.managed]
    return bool(managed) and all(vm.wanted == "absent" for vm in managed)


def _flat(path: str) -> str:
    return path.removesuffix(".vmdk") + "-flat.vmdk"


def _users(world: World, image: str) -> tuple[str, ...]:
    """The VMs on hosts that answer, of whatever lab, whose disks sit on the image."""
    looks = world.reachable_hosts().items()
    return tuple(f"{vm.name} on {name}" for name, look in looks for vm in look.vms if image in vm.files)


def _check_unused(world: World, change: RemoveImage) -> None:
    """Asked anew right before, of every host: a disk that sits on the image is worth nothing without it."""
    for host in world.reachable_hosts():
        world.forget(host)
    doubts = [*_users(world, f"[{change.datastore}] {change.path}"), *world.silent_hosts]
    if doubts:
        raise Refused(
            f"the image is not deleted: {', '.join(doubts)} may have disks that sit on it",
            where=f"[{change.datastore}] {change.path}",
            advice="Destroy those VMs first, see that every host answers, and run again",
        )


def _remove(world: World, change: RemoveImage) -> None:
    """The descriptor goes first, for without it nobody takes the rest for an image."""
    _check_unused(world, change)
    progress = world.progress(f"the image {change.path} is deleted", TRANSFER_SECONDS)
    with world.session(change.via) as session:
        for path in (change.path, _flat(change.path)):
            delete_file(session, change.datastore, path, seconds=TRANSFER_SECONDS, progress=progress)
        folder = change.path.rpartition("/")[0]
        delete_empty_folder(session, change.datastore, folder, seconds=TRANSFER_SECONDS, progress=progress)


def _upload(world: World, session: Session, datastore: str, path: str, source: Path) -> None:
    size = source.stat().st_size
    with source.open("rb") as file:
        upload(session, datastore, path, file, size, PercentReport(world, f"[{datastore}] {path} is uploaded"))
    found = file_size(session, datastore, path)
    if found != size:
        raise HostFault(
            f"[{datastore}] {path} has {found} bytes after the upload, sent were {size}",
            where=session.where,
            advice="Check the space on the datastore and run again; the file is written anew",
        )


class PercentReport:
    """Turns (done, total) bytes into waiting events, one a percent at the most."""

    def __init__(self, world: World, sentence: str) -> None:
        self._sentence, self._stop = sentence, world.run.stop
        self._say = world.progress(sentence, TRANSFER_SECONDS)
        self._last = -1

    def __call__(self, done: int, total: int) -> None:
        """Report how far it is. Raises Interrupted: what is prepared or sent is begun anew, or found whole."""
        if self._stop.is_set() and done < total:
            raise Interrupted(
                f"interrupted: {self._sentence}; {done} of {total} bytes",
                where="this machine",
                advice="Run again; it goes on where it stopped",
            )
        percent = 100 * done // total if total else 0
        if percent != self._last:
            self._last = percent
            self._say(f"{percent} % of {total / 1e6:.0f} MB")
