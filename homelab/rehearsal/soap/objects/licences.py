"""Licences."""

from datetime import timedelta
from typing import Any

from pyVmomi import VmomiSupport, vim, vmodl

from homelab.rehearsal.host import licences
from homelab.rehearsal.soap.managed import Managed
from homelab.rehearsal.soap.wire import fault


class LicenseManager(Managed):
    """What the host may do. Licences can be changed with every licence, the free one too."""

    moid = "ha-license-manager"

    @property
    def licenses(self) -> Any:
        """The keys that the host has, the one in use first."""
        return [self._info(kind) for kind in licences.known_kinds(self._host)]

    @property
    def licensedEdition(self) -> str:
        """The edition in use."""
        return licences.describe(self._host, self._host.licence).edition

    @property
    def evaluation(self) -> Any:
        """How long the evaluation lasts."""
        return vim.LicenseManager.EvaluationInfo(properties=self._evaluation())

    def DecodeLicense(self, licenseKey: str) -> Any:
        """What a key is; nothing changes."""
        kind = licences.kind_of(licenseKey)
        return self._info(kind) if kind else _unknown(licenseKey)

    def AddLicense(self, licenseKey: str, labels: Any) -> Any:
        """Keep a key; it is not used yet."""
        kind = licences.kind_of(licenseKey)
        if kind is None:
            return _unknown(licenseKey)
        licences.add(self._host, kind)
        self._label(licenseKey, labels)
        return self._info(kind)

    def UpdateLicense(self, licenseKey: str, labels: Any) -> Any:
        """Use a key from now on."""
        kind = licences.kind_of(licenseKey)
        if kind is None:
            return _unknown(licenseKey)
        licences.use(self._host, kind)
        self._label(licenseKey, labels)
        return self._info(kind)

    def RemoveLicense(self, licenseKey: str) -> None:
        """Forget a key."""
        licences.remove(self._host, licences.kind_of(licenseKey))

    def UpdateLicenseLabel(self, licenseKey: str, labelKey: str, labelValue: str) -> None:
        """Label a key."""
        self._label(self._known(licenseKey), [vim.KeyValue(key=labelKey, value=labelValue)])

    def RemoveLicenseLabel(self, licenseKey: str, labelKey: str) -> None:
        """Take a label off a key."""
        with self._host.lock:
            self._host.settings.licence_labels.get(self._known(licenseKey), {}).pop(labelKey, None)
            self._host.touch()

    def _known(self, key: str) -> str:
        kind = licences.kind_of(key)
        if kind not in licences.known_kinds(self._host):
            raise fault("NotFound", "The object or item referred to could not be found.")
        return key

    def _label(self, key: str, labels: Any) -> None:
        with self._host.lock:
            kept = self._host.settings.licence_labels.setdefault(key, {})
            kept.update({label.key: label.value for label in labels or ()})
            self._host.touch()

    def _info(self, kind: str) -> Any:
        licence = licences.describe(self._host, kind)
        labels = self._host.settings.licence_labels.get(licence.key, {})
        properties = [_property("ProductName", licences.PRODUCT), _property("ProductVersion", licence.version)]
        if licence.unlimited:
            properties.append(_property("count_disabled", "This license is unlimited"))
        properties += [_property("feature", vim.KeyValue(key=key, value=text)) for key, text in licence.features]
        if kind == "evaluation":
            properties += self._evaluation()
        return vim.LicenseManager.LicenseInfo(
            licenseKey=licence.key,
            editionKey=licence.edition,
            name=licence.name,
            total=licence.total,
            used=1 if kind == self._host.licence else 0,
            costUnit=licence.unit,
            properties=properties,
            labels=[vim.KeyValue(key=key, value=value) for key, value in labels.items()],
        )

    def _evaluation(self) -> list[Any]:
        left = max(licences.time_left(self._host), timedelta(0))
        minutes = int(left.total_seconds() // 60)
        return [
            _property("expirationHours", VmomiSupport.long(minutes // 60)),
            _property("expirationMinutes", VmomiSupport.long(minutes)),
            _property("expirationDate", self._host.evaluation_ends),
        ]


def _property(key: str, value: Any) -> Any:
    return vmodl.KeyAnyValue(key=key, value=value)


def _unknown(key: str) -> Any:
    return vim.LicenseManager.LicenseInfo(
        licenseKey=key,
        editionKey="",
        name="",
        total=0,
        costUnit="",
        properties=[_property("diagnostic", licences.UNKNOWN)],
    )
