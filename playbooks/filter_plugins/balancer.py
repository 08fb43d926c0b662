"""The balancers' renderers as Ansible's filters; they lie in playbooks/balancer/."""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError

FOLDER = Path(__file__).resolve().parent.parent / "balancer"
# Not `balancer`: some package of the machine may be called so.
PACKAGE = "homelab_playbooks_balancer"


def renderer(name: str) -> Any:
    """A module of playbooks/balancer/, which lies on nobody's path."""
    if PACKAGE not in sys.modules:
        spec = spec_from_file_location(PACKAGE, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)])
        if spec is None or spec.loader is None:
            raise AnsibleFilterError(f"{FOLDER} is not there: take the whole folder playbooks/ along.")
        sys.modules[PACKAGE] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[PACKAGE])
    return import_module(f"{PACKAGE}.{name}")


class FilterModule:
    """What Ansible asks for: the filters by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"balancer_pools": balancer_pools, "haproxy_cfg": haproxy_cfg, "keepalived_conf": keepalived_conf}


def balancer_pools(
    further: Sequence[Mapping[str, Any]], api: Mapping[str, Any], addresses: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The pools of a balancer, from the inventory's variables."""
    pools = renderer("pools")
    return _told(lambda: pools.plain_pools(pools.wanted_pools(api, further, addresses)))


def haproxy_cfg(fields: Mapping[str, Any], folder: str) -> str:
    """The text of haproxy.cfg."""
    haproxy = renderer("haproxy")
    pools = renderer("pools").read_pools
    return _told(lambda: haproxy.haproxy_cfg(haproxy.Haproxy(**{**fields, "pools": pools(fields["pools"])}), folder))


def keepalived_conf(fields: Mapping[str, Any], check: str) -> str:
    """The text of keepalived.conf."""
    keepalived = renderer("keepalived")
    return _told(lambda: keepalived.keepalived_conf(keepalived.Keepalived(**fields), check))


def _told(render: Callable[[], Any]) -> Any:
    """What a renderer makes, or its refusal in Ansible's words."""
    try:
        return render()
    except (ValueError, TypeError, KeyError) as error:
        raise AnsibleFilterError(f"No balancer is laid down: {error}.") from error
