"""The log of the host, which has its events and nothing else, and its counters: uptimes, and the memory of VMs."""

import io
import secrets
import tarfile
from datetime import datetime
from typing import Any

from pyVmomi import vim

from homelab.rehearsal.host.host import Host
from homelab.rehearsal.soap.managed import Managed, writes
from homelab.rehearsal.soap.wire import fault
from homelab.rehearsal.state.refusals import InvalidArgument

HOSTD, PATH = "hostd", "/var/log/hostd.log"
# Group, name, unit and how it is rolled up.
COUNTERS = {
    1: ("sys", "uptime", "second", "latest", "Total time elapsed since the last boot"),
    2: ("mem", "granted", "kiloBytes", "average", "Memory of the VMs that run"),
}
REAL_TIME, KIB_OF_MIB = 20, 1024


class DiagnosticManager(Managed):
    """The log of hostd."""

    moid = "ha-diagnosticmgr"

    def QueryDescriptions(self, host: Any) -> Any:
        """The logs that can be read: one."""
        return [
            vim.DiagnosticManager.LogDescriptor(
                key=HOSTD,
                fileName=PATH,
                creator="hostd",
                format="plain",
                mimeType="text/plain",
                info=vim.Description(label="hostd log", summary="Server log in 'plain' format"),
            )
        ]

    def BrowseDiagnosticLog(self, host: Any, key: str, start: int | None, lines: int | None) -> Any:
        """Lines of the log, counted from 1; InvalidArgument for another log."""
        if key != HOSTD:
            raise InvalidArgument("A specified parameter was not correct: key", invalidProperty="key")
        all_lines = log_lines(self._host)
        first = min(max(start or 1, 1), len(all_lines) + 1)
        wanted = all_lines[first - 1 :][: len(all_lines) if lines is None else lines]
        return vim.DiagnosticManager.LogHeader(lineStart=first, lineEnd=first + len(wanted), lineText=wanted)

    @writes
    def GenerateLogBundles_Task(self, includeDefault: bool, host: Any) -> Any:
        """A bundle of the logs to download."""
        path = f"/downloads/{secrets.token_hex(8)}/vmsupport-{self._host.name}.tgz"
        self._host.backups[path] = _bundle(self._host)
        kind = vim.DiagnosticManager.BundleInfo
        return kind.Array([kind(url=f"https://*{self._port}{path}")])

    @property
    def _port(self) -> str:
        return "" if self._face.port == 443 else f":{self._face.port}"


class PerformanceManager(Managed):
    """A few counters, as they are now: nothing is kept of what was."""

    moid = "ha-perfmgr"

    @property
    def perfCounter(self) -> Any:
        """Every counter."""
        return [_counter(key) for key in COUNTERS]

    @property
    def historicalInterval(self) -> Any:
        """What a standalone host keeps would be the past day."""
        return [vim.HistoricalInterval(key=1, samplingPeriod=300, name="Past day", length=86400, enabled=False)]

    def QueryPerfProviderSummary(self, entity: Any) -> Any:
        """Only what is now."""
        return vim.PerformanceManager.ProviderSummary(
            entity=entity, currentSupported=True, summarySupported=False, refreshRate=REAL_TIME
        )

    def QueryPerfCounter(self, counterId: Any) -> Any:
        """Counters by their numbers; InvalidArgument for one that is not there."""
        if unknown := [key for key in counterId if key not in COUNTERS]:
            raise InvalidArgument(f"A specified parameter was not correct: {unknown[0]}", invalidProperty="counterId")
        return [_counter(key) for key in counterId]

    def QueryAvailablePerfMetric(
        self, entity: Any, beginTime: datetime | None, endTime: datetime | None, intervalId: int | None
    ) -> Any:
        """The counters of an object."""
        return [vim.PerformanceManager.MetricId(counterId=key, instance="") for key in self._values(entity)]

    def QueryPerf(self, querySpec: Any) -> Any:
        """One sample: now."""
        return [self._sample(spec) for spec in querySpec]

    def _sample(self, spec: Any) -> Any:
        if spec.format not in (None, "normal"):
            raise fault("NotSupported", "Counters as CSV are not part of the rehearsal")
        kind = vim.PerformanceManager
        values = self._values(spec.entity)
        wanted = [item.counterId for item in spec.metricId] if spec.metricId else list(values)
        series = [
            kind.IntSeries(id=kind.MetricId(counterId=key, instance=""), value=[values[key]])
            for key in dict.fromkeys(wanted)
            if key in values
        ]
        info = [kind.SampleInfo(timestamp=self._host.now(), interval=REAL_TIME)]
        return kind.EntityMetric(entity=spec.entity, sampleInfo=info, value=series)

    def _values(self, entity: Any) -> dict[int, int]:
        """The counters of an object that runs, in their units."""
        now = self._host.now()
        vms = self._host.registered_vms
        if isinstance(entity, vim.HostSystem):
            memory = sum(vm.memory_mib for vm in vms.values() if vm.powered_on)
            return {1: int((now - self._host.boot_time).total_seconds()), 2: memory * KIB_OF_MIB}
        vm = vms.get(entity._moId) if isinstance(entity, vim.VirtualMachine) else None
        if vm is None or not vm.powered_on or vm.boot_time is None:
            return {}
        return {1: int((now - vm.boot_time).total_seconds()), 2: vm.memory_mib * KIB_OF_MIB}


def log_lines(host: Host) -> list[str]:
    """The lines of hostd's log: a host's events."""
    return [
        f"{entry.when:%Y-%m-%dT%H:%M:%S}.{entry.when.microsecond // 1000:03}Z info hostd[2099000] "
        f"[Originator@6876 sub=Vimsvc.ha-eventmgr] Event {entry.key} : {entry.message}"
        for entry in host.journal.entries
    ]


def _counter(key: int) -> Any:
    group, name, unit, rollup, text = COUNTERS[key]
    return vim.PerformanceManager.CounterInfo(
        key=key,
        nameInfo=vim.ElementDescription(key=name, label=name.title(), summary=text),
        groupInfo=vim.ElementDescription(key=group, label=group.title(), summary=group),
        unitInfo=vim.ElementDescription(key=unit, label=unit, summary=unit),
        rollupType=rollup,
        statsType="absolute",
        level=1,
        perDeviceLevel=3,
    )


def _bundle(host: Host) -> bytes:
    text = "".join(f"{line}\n" for line in log_lines(host)).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        item = tarfile.TarInfo(PATH.lstrip("/"))
        item.size = len(text)
        archive.addfile(item, io.BytesIO(text))
    return buffer.getvalue()
