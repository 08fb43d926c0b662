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
        filters = (
            balancer_pools,
            haproxy_cfg,
            keepalived_conf,
            nginx_conf,
            nginx_rules,
            nftables_rules,
            checker_json,
            balancer_ready_port,
        )
        return {function.__name__: function for function in filters}


def balancer_pools(
    further: Sequence[Mapping[str, Any]], api: Mapping[str, Any], addresses: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The pools of a balancer, from the inventory's variables."""
    pools = renderer("pools")
    return _told(lambda: pools.plain_pools(pools.wanted_pools(api, further, addresses)))


def haproxy_cfg(fields: Mapping[str, Any], folder: str) -> str:
    """The text of haproxy.cfg."""
    haproxy = renderer("haproxy")
    return _told(lambda: haproxy.haproxy_cfg(haproxy.Haproxy(**_typed(fields)), folder))


def keepalived_conf(fields: Mapping[str, Any], check: str) -> str:
    """The text of keepalived.conf."""
    keepalived = renderer("keepalived")
    return _told(lambda: keepalived.keepalived_conf(keepalived.Keepalived(**fields), check))


def nginx_conf(fields: Mapping[str, Any]) -> str:
    """The text of the balancer's own nginx.conf."""
    nginx = renderer("nginx")
    return _told(lambda: nginx.nginx_conf(nginx.Nginx(**_typed(fields))))


def nginx_rules(fields: Mapping[str, Any]) -> str:
    """The rules of the kernel beside nginx; they are the same for all pools."""
    return _told(lambda: renderer("nftables").proxy_rules(renderer("nginx").USER))


def nftables_rules(fields: Mapping[str, Any]) -> str:
    """The rules of a balancer in the kernel."""
    nftables = renderer("nftables")
    return _told(lambda: nftables.nftables_rules(nftables.Nftables(**_typed(fields))))


def checker_json(fields: Mapping[str, Any]) -> str:
    """The text of the checker's configuration."""
    checker = renderer("checker")
    return _told(lambda: checker.checker_json(checker.Checker(**_typed(fields))))


def balancer_ready_port(status_port: int) -> int:
    """The port of loopback on which nginx itself answers."""
    return int(renderer("checker").ready_port(status_port))


def _typed(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {**fields, "pools": renderer("pools").read_pools(fields["pools"])}


def _told(render: Callable[[], Any]) -> Any:
    """What a renderer makes, or its refusal in Ansible's words."""
    try:
        return render()
    except (ValueError, TypeError, KeyError) as error:
        raise AnsibleFilterError(f"No balancer is laid down: {error}.") from error
