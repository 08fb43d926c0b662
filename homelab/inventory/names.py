"""What machines may be called. Inventories call them by a label or by a whole DNS name, in whatever letters. Pure."""

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address

from homelab.errors import Mistake
from homelab.inventory.facts import VMS, Facts
from homelab.lab import short_name


def wrong_name(name: str) -> tuple[str, str]:
    """What is wrong with a name that no machine can have, and what to write."""
    if "_" in name:
        what = f"{name} has an underscore, and a host name in DNS has none (RFC 1123), nor has a node of Kubernetes"
        return what, f"write {name.replace('_', '-').strip('-')}"
    what = f"{name} is not a name that a host can have"
    return what, "use letters, digits and hyphens, up to 63 between two dots, none of them empty"


def address_as_name(facts: Facts) -> Iterator[Mistake]:
    """A machine is called by a name: hosts and guests get it, and files are named by it."""
    for host in facts.hosts:
        if _is_address(host.name):
            what = f"{host.name} is an address and no name"
            fix = f"give the host a name, and write ansible_host: {host.name} below it"
            yield Mistake(facts.where(host.name, ""), what, fix)


def same_short_name(facts: Facts) -> Iterator[Mistake]:
    """Hosts and VMs are told apart by what they call themselves: all of them are SHORT NAME.lab_domain."""
    first: dict[str, str] = {}
    for host in facts.of("esxi", *VMS):
        if _is_address(host.name):
            continue
        short = short_name(host.name)
        other = first.setdefault(short, host.name)
        if other != host.name:
            what = f"{host.name} and {other} ({facts.where(other, '')}) would both be called {short}"
            fix = "give one of them another first label: hosts and guests get it, in small letters, as their name"
            yield Mistake(facts.where(host.name, ""), what, fix)


def name_of_the_api(facts: Facts) -> Iterator[Mistake]:
    """The name of the API leads to the VIP, so no machine has it."""
    domain = str(facts.lab.get("lab_domain"))
    api = str(facts.lab.get("api_name") or f"api.{domain}")
    for host in facts.of("esxi", *VMS):
        if f"{short_name(host.name)}.{domain}".lower() == api.lower():
            what = f"{host.name} would be called {api}, which is the name of the API"
            yield Mistake(facts.where(host.name, ""), what, "give it another first label, or set api_name")


def other_domain(facts: Facts) -> Iterator[Mistake]:
    """A whole name in another domain is not the name that the machine gets."""
    domain = str(facts.lab.get("lab_domain")).lower()
    odd = [host.name for host in facts.of("esxi", *VMS) if "." in host.name and _domain(host.name) != domain]
    if odd:
        what = f"{', '.join(odd)}: what homelab sets up is called {short_name(odd[0])}.{domain}, after lab_domain"
        yield Mistake(facts.where(odd[0], ""), what, "correct lab_domain, unless you mean it so")


def _domain(name: str) -> str:
    return name.partition(".")[2].lower()


def _is_address(name: str) -> bool:
    try:
        IPv4Address(name)
    except AddressValueError:
        return False
    return True
