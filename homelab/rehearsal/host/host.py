"""One simulated ESXi host put together from its parts. Knows no protocol; both faces use it under its lock.

What is configured and what runs are two things: a disabled module stays loaded until the next boot, and what was
not kept by auto-backup is lost when the power is cut.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Interface

from homelab.rehearsal.host.account import Account
from homelab.rehearsal.host.auto_backup import AutoBackup
from homelab.rehearsal.host.drivers import Drivers
from homelab.rehearsal.host.maintenance import Maintenance
from homelab.rehearsal.host.network import HostNetwork, installed
from homelab.rehearsal.host.options import AdvancedOptions
from homelab.rehearsal.host.power import Power
from homelab.rehearsal.host.services import Services
from homelab.rehearsal.host.system_files import SystemFiles
from homelab.rehearsal.state.hardware import HardwareModel, NicModel, fitted
from homelab.rehearsal.state.host_state import HostState
from homelab.rehearsal.state.machines import Machines
from homelab.rehearsal.state.parts import Timing, fresh_modules, fresh_nics, fresh_vibs
from homelab.rehearsal.state.settings import NetworkSettings
from homelab.rehearsal.state.switches import Switch
from homelab.rehearsal.storage.datastores import Datastores
from homelab.rehearsal.storage.volumes import Volumes
from homelab.rehearsal.vms.power import VmPower
from homelab.rehearsal.vms.questions import MoveQuestions
from homelab.rehearsal.vms.registry import VmRegistry
from homelab.rehearsal.vms.snapshots import VmSnapshots
from homelab.rehearsal.vms.start_order import StartOrder


def _installed(name: str, address: str) -> NetworkSettings:
    """Where nobody tells the LAN it is a /24 with the gateway, and the name server, at its first address."""
    lan = IPv4Interface(f"{address}/24").network
    return installed(name, address, lan, str(lan[1]), [str(lan[1])], "")


class Host(HostState):
    """One host: the state that its parts share, and the parts. It is on when it is made.

    `address` is the one that the DHCP server would give it; `network` tells how it is configured, unless as a host
    that was installed with that address.
    """

    def __init__(
        self,
        name: str,
        address: str,
        model: HardwareModel,
        user: str,
        password: str,
        *,
        volumes: Volumes,
        machines: Machines,
        timing: Timing | None = None,
        clock: Callable[[], float] = time.monotonic,
        network: NetworkSettings | None = None,
    ) -> None:
        super().__init__(name, model, network or _installed(name, address), timing, clock)
        self.account = Account(self, user, password)
        self.network = HostNetwork(self, address)
        self.drivers = Drivers(self)
        self.services = Services(self)
        self.options = AdvancedOptions(self)
        self.maintenance = Maintenance(self)
        self.datastores = Datastores(self, volumes)
        self.system_files = SystemFiles(self, self.datastores)
        self.start_order = StartOrder(self)
        self.vms = VmRegistry(self, self.datastores, self.start_order)
        self.vm_questions = MoveQuestions(self, self.vms)
        self.vm_power = VmPower(self, self.datastores, self.vms, self.vm_questions, self.start_order, machines)
        self.vm_snapshots = VmSnapshots(self, self.datastores, self.vms, self.vm_power)
        self.auto_backup = AutoBackup(self, self.drivers, self.services, self.network, self.datastores)
        self.power = Power(
            self, self.drivers, self.services, self.network, self.system_files, self.auto_backup, self.vm_power
        )
        # The first boot takes no time: the lab starts with hosts that run.
        self.power.boot()

    def fit(
        self, *nics: NicModel, management: Sequence[str], others: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Somebody fits other NICs, and wires them: `management` are the uplinks of vSwitch0, `others` of each switch.

        The host knows of it, and of their drivers, as if it had been installed so.
        """
        self.model = fitted(self.model, *nics)
        self.nics, self.drivers.modules = fresh_nics(self.name, self.model), fresh_modules(self.model)
        self.vibs = fresh_vibs(self.model)
        uplinks = {"vSwitch0": management} | dict(others or {})
        self.settings.switches = {name: Switch(list(nics)) for name, nics in uplinks.items()}
        self.auto_backup.keep()
        self.power.boot()
