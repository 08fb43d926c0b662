"""The inventory plugin `vms`: the VMs of a lab that live on its hosts now."""

DOCUMENTATION = r"""
name: vms
short_description: The VMs of a lab that live on its hosts now
description:
  - Asks the ESXi hosts of a lab for the VMs that carry its mark, and the guests for what is laid down on them. So other
    playbooks can use the lab without knowing how it was made.
  - A VM that the lab's inventory wants and no host has is not in it. One that lives and is not wanted any more is, with
    C(homelab_wanted) false and without an address.
  - Every VM is in the group C(homelab_vms), in one named after its host (C(homelab_on_brix1)), and in the group that
    the lab's inventory has it in (C(control_plane), C(load_balancers), C(workers)).
  - Needs the Python package homelab beside ansible-core, and the lab's vault password as C(ansible-playbook) does.
  - A host that cannot be asked is warned of, and its VMs are left out.
author:
  - homelab (!UNKNOWN)
extends_documentation_fragment:
  - constructed
  - inventory_cache
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [homelab.lab.vms]
  lab:
    description:
      - The inventories of the lab, relative to this file; as many as C(homelab -i) takes.
      - This file must not lie in one of them.
    type: list
    elements: str
    env:
      - name: HOMELAB_INVENTORY
    default: [inventory]
  facts:
    description: Whether the guests are asked as well, by one SSH command each.
    type: bool
    default: true
"""

EXAMPLES = r"""
# living.vms.yml, beside the folder inventory/ of the lab:
#   ansible-inventory -i living.vms.yml --graph
plugin: homelab.lab.vms
lab: [inventory]
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: .homelab/cache
cache_timeout: 300
groups:
  ready: homelab_answers and 'control_plane' in homelab_roles
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

ENDINGS = (".vms.yml", ".vms.yaml", "homelab.yml", "homelab.yaml")
# Set while the lab's own inventory is read, so that a file of ours in it does not read it again, and again.
READING = "HOMELAB_READS_LAB"


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """`homelab.lab.vms`."""

    NAME = "homelab.lab.vms"

    def verify_file(self, path: str) -> bool:
        """Whether a source is one of ours, by its name."""
        return bool(super().verify_file(path)) and path.endswith(ENDINGS)

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Add the living VMs."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        if os.environ.get(READING):
            raise AnsibleParserError(f"{path} lies in the inventory that it reads: put it into a folder of its own.")
        key, caches = self.get_cache_key(path), bool(self.get_option("cache"))
        rows = None
        if caches and cache:
            rows = self._cache.get(key)
        if rows is None:
            rows = self._ask(path)
            if caches:
                self._cache[key] = rows
        for row in rows:
            self._add(row)

    def _ask(self, path: str) -> list[dict[str, Any]]:
        try:
            from homelab.commands.living_vms import living_vms
            from homelab.errors import HomelabError
        except ImportError as error:
            raise AnsibleParserError(
                "The inventory plugin homelab.lab.vms needs the Python package homelab beside ansible-core "
                "(pip install homelab)."
            ) from error
        sources = [Path(path).parent / Path(name).expanduser() for name in self.get_option("lab")]
        try:
            with reading():
                found = living_vms(sources, self.display.warning, facts=self.get_option("facts"))
        except HomelabError as error:
            raise AnsibleParserError(str(error)) from error
        return [{"name": vm.name, "groups": list(vm.groups), "variables": dict(vm.variables)} for vm in found]

    def _add(self, row: dict[str, Any]) -> None:
        name, variables, strict = row["name"], row["variables"], self.get_option("strict")
        self.inventory.add_host(name)
        for variable, value in variables.items():
            self.inventory.set_variable(name, variable, value)
        on = f"homelab_on_{variables['homelab_host']}"
        for group in ("homelab_vms", self._sanitize_group_name(on), *row["groups"]):
            self.inventory.add_child(self.inventory.add_group(group), name)
        self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict=strict)


@contextmanager
def reading() -> Iterator[None]:
    """While the lab's own inventory is read."""
    os.environ[READING] = "1"
    try:
        yield
    finally:
        del os.environ[READING]
