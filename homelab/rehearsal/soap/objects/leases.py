"""Leases of imports."""

import hashlib
import ssl
from collections.abc import Iterator
from typing import Any

from pyVmomi import vim

from homelab.rehearsal.soap.managed import Managed, ref, writes
from homelab.rehearsal.soap.wire import fault
from homelab.rehearsal.storage.paths import split
from homelab.rehearsal.vms.leases import LEASE_SECONDS, Lease, Slot

KIB = 1024
HTTPS = 443


class HttpNfcLease(Managed):
    """One lease."""

    @classmethod
    def ids(cls, face: Any, caller: Any) -> Iterator[str]:
        """Those that are remembered."""
        yield from list(face.leases.all)

    @property
    def _lease(self) -> Lease:
        lease: Lease = self._face.leases.all[self._moid]
        return lease

    @property
    def state(self) -> Any:
        """initializing, ready, done or error."""
        return vim.HttpNfcLease.State(self._lease.state)

    @property
    def initializeProgress(self) -> int:
        """Nothing or all: the disks are made in one go."""
        return 0 if self._lease.state == "initializing" else 100

    @property
    def transferProgress(self) -> int:
        """What the client last said."""
        return self._lease.percent

    @property
    def mode(self) -> str:
        """The client sends; the host fetches nothing."""
        return "pushOrGet"

    @property
    def capabilities(self) -> Any:
        """Neither pull mode nor requests from a browser."""
        return vim.HttpNfcLease.Capabilities(pullModeSupported=False, corsSupported=False)

    @property
    def error(self) -> Any:
        """Why it ended."""
        error = self._lease.error
        return self._face.as_fault(error, self._ref) if error else None

    @property
    def info(self) -> Any:
        """The VM, and where its disks can be sent to; unset until it is ready."""
        lease = self._lease
        if lease.vm is None or lease.state == "initializing":
            return None
        capacity = sum(slot.disk.capacity for slot in lease.slots)
        keys = sorted({_store_key(slot) for slot in lease.slots})
        host = vim.HttpNfcLease.HostInfo(
            url=f"https://{self._host.settings.network.address}/", sslThumbprint=self._thumbprint
        )
        return vim.HttpNfcLease.Info(
            lease=self._ref,
            entity=ref("VirtualMachine", lease.vm.moid),
            deviceUrl=[self._device_url(slot) for slot in lease.slots],
            totalDiskCapacityInKB=capacity // KIB,
            leaseTimeout=LEASE_SECONDS,
            hostMap=[vim.HttpNfcLease.DatastoreLeaseInfo(datastoreKey=key, hosts=[host]) for key in keys],
        )

    @writes
    def HttpNfcLeaseProgress(self, percent: int) -> None:
        """A word that the client is still there; InvalidArgument for more than all."""
        if not 0 <= percent <= 100:
            message = "A specified parameter was not correct: percent"
            raise fault("InvalidArgument", message, invalidProperty="percent")
        self._face.leases.progress(self._lease, percent)

    @writes
    def HttpNfcLeaseComplete(self) -> None:
        """All was sent."""
        self._face.leases.complete(self._lease)

    @writes
    def HttpNfcLeaseAbort(self, fault: Any) -> None:
        """The client gives up, and may say why."""
        self._face.leases.abort(self._lease, fault or _cancelled())

    def HttpNfcLeaseGetManifest(self) -> Any:
        """What was sent, a disk a row."""
        return [
            vim.HttpNfcLease.ManifestEntry(
                key=slot.key,
                sha1=slot.sha1,
                size=slot.size,
                disk=True,
                capacity=slot.disk.capacity,
                populatedSize=slot.populated,
            )
            for slot in self._lease.slots
            if slot.size
        ]

    @property
    def _thumbprint(self) -> str:
        digest = hashlib.sha1(ssl.PEM_cert_to_DER_cert(self._face.certificate.decode()), usedforsecurity=False)
        return ":".join(f"{byte:02X}" for byte in digest.digest())

    def _device_url(self, slot: Slot) -> Any:
        port = "" if self._face.port == HTTPS else f":{self._face.port}"
        return vim.HttpNfcLease.DeviceUrl(
            key=slot.key,
            importKey=slot.import_key,
            url=f"https://*{port}/nfc/{self._moid}/{slot.target_id}",
            sslThumbprint=self._thumbprint,
            disk=True,
            targetId=slot.target_id,
            datastoreKey=_store_key(slot),
        )


def _store_key(slot: Slot) -> str:
    return f"/ha-datacenter/{split(slot.disk.path)[0]}"


def _cancelled() -> Any:
    return fault("RequestCanceled", "The task was canceled by a user.")
