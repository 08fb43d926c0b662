"""Step `image`: the disk that VMs are copied from lies once on each datastore that has such VMs, by its content hash.

Beside it lie its bases, which linked VMs sit on: one for each size, made when the first VM wants it (bases).
Where every VM of the lab is wanted absent they all go as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from homelab.engine.step import Blocked, Change, Node, Planned, Step, Words
from homelab.errors import HostFault, Interrupted, Refused
from homelab.lab import Image as ImageSource
from homelab.lab import Lab
from homelab.ports.files.home import cache_folder
from homelab.ports.vm_writer import VmWriter
from homelab.ports.world import World
from homelab.steps.vms.base_making import look_at_all_bases, look_at_bases, make_base
from homelab.steps.vms.bases import BasesLook, MakeBase, bases_among, missing_bases
from homelab.steps.vms.chosen import seen_and_chosen
from homelab.steps.vms.image_paths import image_homes, image_path, is_host
from homelab.steps.vms.placement import places
from homelab.steps.vms.sitters import Sitters, check_nobody_at, sitters_at_any

TRANSFER_SECONDS = 3600


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
    """Delete the descriptor and the data of an image, through one host that mounts the datastore."""

    disruptive = True

    datastore: str
    path: str
    via: str
    why: str = "no VM is wanted that would be copied from it"

    def _words(self) -> Words:
        return Words(
            sentence=f"delete the image [{self.datastore}] {self.path} through {self.via}",
            reason=self.why,
            undo="homelab bootstrap uploads it again, while image_source and image_sha256 name it",
            before="present",
            after="absent",
        )


@dataclass(frozen=True)
class ImageState:
    """`via` is the host to go through, None when none mounts the datastore; `whole` when the image is there.

    `rests` when its descriptor or its data is; `sitters` are the VMs whose disks sit on it, or on a base of it. `bases`
    are looked at while VMs wait for one, and at the end. It is not `needed` on a host's own datastore while no VM is
    placed there.
    """

    via: str | None
    whole: bool
    rests: bool = False
    sitters: Sitters = field(default_factory=Sitters)
    bases: BasesLook = field(default_factory=BasesLook)
    needed: bool = True


Changes = UploadImage | MakeBase | RemoveImage


class Image(Step[ImageState, Changes]):
    """One node for each datastore, named after the NAS, or the host whose own it is."""

    name = "image"

    def targets(self, lab: Lab) -> Sequence[str]:
        """The NAS, when VMs of ours lie there, and hosts whose own datastore such VMs may be made on."""
        return list(image_homes(lab))

    def after(self, lab: Lab, target: str) -> Sequence[Node]:
        """It goes after the VMs."""
        return [Node("vm", vm.name) for vm in lab.vms] if _unwanted(lab) else []

    def settled(self, lab: Lab, target: str) -> Sequence[Node]:
        """All mounts have been tried, and the host that the image goes through has rebooted if it had to."""
        if is_host(lab, target):
            return [Node("local-datastore", target), Node("reboot", target)]
        return [*(Node("nfs-datastore", host.name) for host in lab.esxi), Node("reboot", lab.esxi[0].name)]

    def observe(self, world: World, lab: Lab, target: str) -> ImageState:
        """Look for the descriptor, which is written last, and its data, through the first host with the datastore."""
        datastore, local = image_homes(lab)[target], is_host(lab, target)
        if local and not _unwanted(lab) and not _is_placed_at(world, lab, target):
            return ImageState(None, False, needed=False)
        via = own_host(world, target, datastore) if local else host_with(world, datastore)
        return self._look(world, lab, via, datastore, local=local) if via else ImageState(None, False)

    def _look(self, world: World, lab: Lab, via: str, datastore: str, *, local: bool) -> ImageState:
        reader, path = world.reader(via), image_path(lab)
        if not _unwanted(lab):
            whole = reader.disk_whole(datastore, path)
            return ImageState(via, whole, bases=BasesLook() if local else look_at_bases(world, lab, via, whole=whole))
        rests = any(reader.file_size(datastore, file) for file in (path, _flat(path)))
        bases = BasesLook() if local else look_at_all_bases(world, lab, via)
        places = [path, *bases_among(path, bases.files)]
        return ImageState(via, False, rests, sitters_at_any(world, via, datastore, places), bases)

    def plan(self, lab: Lab, target: str, observed: ImageState) -> Sequence[Planned[Changes]]:
        """Upload what is missing, and make the bases that VMs wait for; delete what nobody is to be copied from."""
        datastore = image_homes(lab)[target]
        if not observed.needed:
            return []
        if observed.via is None:
            who = f"{target} answers and has" if is_host(lab, target) else "a host mounts"
            return [Blocked(target, f"{who} the datastore {datastore}")]
        if _unwanted(lab):
            return self._end(lab, target, observed.via, observed)
        path = image_path(lab)
        upload = UploadImage(target, datastore, path, lab.image.source, lab.image.sha256, observed.via)
        bases = missing_bases(target, datastore, path, observed.via, observed.bases)
        return [*([] if observed.whole else [upload]), *bases]

    def _end(self, lab: Lab, target: str, via: str, observed: ImageState) -> Sequence[Planned[RemoveImage]]:
        datastore = image_homes(lab)[target]
        bases = bases_among(image_path(lab), observed.bases.files)
        if not observed.rests and not bases:
            return []
        if observed.sitters.users:
            raise Refused(
                f"the disks of {', '.join(observed.sitters.users)} sit on the image, so it is not deleted",
                where=f"[{datastore}] {image_path(lab)}",
                advice="Destroy those VMs first, or clone them so that their disks are whole",
            )
        if observed.sitters.doubt:
            return [Blocked(target, f"{observed.sitters.doubt}: a disk there may sit on the image")]
        rests = [*bases, *([image_path(lab)] if observed.rests else [])]
        return [RemoveImage(target, datastore, path, via) for path in rests]

    def apply(self, world: World, change: Changes) -> None:
        """Upload it, make a base of it, or delete one of them."""
        if isinstance(change, RemoveImage):
            remove_image(world, change)
        elif isinstance(change, MakeBase):
            make_base(world, change)
        else:
            self._provide(world, change)

    def _provide(self, world: World, change: UploadImage) -> None:
        """Prepare the pair on this machine, upload the data first and the descriptor last.

        Looked at once more right before: what another machine has uploaded meanwhile is copied from already. A
        descriptor without its data goes first, so that nobody takes half an image for one.
        """
        from homelab.ports.media.images import prepare_image  # every kind of image and of transfer

        sentence = f"the image {Path(change.source).name} is prepared"
        image = ImageSource(source=change.source, sha256=change.sha256)
        prepared = prepare_image(image, cache_folder(), PercentReport(world, sentence))
        progress = world.progress(sentence, TRANSFER_SECONDS)
        with world.vm_writer(change.via) as writer:
            if writer.files.disk_whole(change.datastore, change.path):
                world.run.log(f"[{change.datastore}] {change.path} is there by now; nothing is sent")
                return
            writer.files.make_folder(change.datastore, change.path.rpartition("/")[0])
            writer.files.delete_file(change.datastore, change.path, seconds=TRANSFER_SECONDS, progress=progress)
            _upload(world, writer, change.datastore, _flat(change.path), prepared.flat)
            _upload(world, writer, change.datastore, change.path, prepared.descriptor)


def host_with(world: World, datastore: str) -> str | None:
    """The first host that answers and has that NFS datastore; None when there is none."""
    looks = world.reachable_hosts().items()
    return next((host for host, look in looks if (nas := look.nas_named(datastore)) and nas.accessible), None)


def own_host(world: World, host: str, datastore: str) -> str | None:
    """That host, if it answers and has the datastore as its own; None when not."""
    look = world.reachable_hosts().get(host)
    return host if look and look.directory_of(datastore) is not None and not look.nas_named(datastore) else None


def _is_placed_at(world: World, lab: Lab, host: str) -> bool:
    """Whether a VM with a local datastore is to lie on that host."""
    placed = places(lab, *seen_and_chosen(world, lab))
    return any(vm.managed and lab.is_local(vm) and placed[vm.name].host == host for vm in lab.vms)


def _unwanted(lab: Lab) -> bool:
    managed = [vm for vm in lab.vms if vm.managed]
    return bool(managed) and all(vm.wanted == "absent" for vm in managed)


def _flat(path: str) -> str:
    return path.removesuffix(".vmdk") + "-flat.vmdk"


def remove_image(world: World, change: RemoveImage) -> None:
    """Delete it while nobody sits on it: the descriptor first, for without it nobody takes the rest for an image."""
    check_nobody_at(world, change.via, change.datastore, change.path, "the image is not deleted")
    progress = world.progress(f"the image {change.path} is deleted", TRANSFER_SECONDS)
    with world.vm_writer(change.via) as writer:
        for path in (change.path, _flat(change.path)):
            writer.files.delete_file(change.datastore, path, seconds=TRANSFER_SECONDS, progress=progress)
        folder = change.path.rpartition("/")[0]
        writer.files.delete_empty_folder(change.datastore, folder, seconds=TRANSFER_SECONDS, progress=progress)


def _upload(world: World, writer: VmWriter, datastore: str, path: str, source: Path) -> None:
    size = source.stat().st_size
    with source.open("rb") as file:
        writer.files.upload(datastore, path, file, size, PercentReport(world, f"[{datastore}] {path} is uploaded"))
    found = writer.files.file_size(datastore, path)
    if found != size:
        raise HostFault(
            f"[{datastore}] {path} has {found} bytes after the upload, sent were {size}",
            where=writer.where,
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
