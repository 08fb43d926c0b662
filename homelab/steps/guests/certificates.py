"""When a control plane's certificates run out: kubeadm makes them for a year. Pure."""

from datetime import datetime, timedelta

from homelab.ports.guest.look import GuestLook

# They are renewed when less than this is left.
RENEWED = timedelta(days=30)


def first_end(look: GuestLook) -> tuple[str, datetime] | None:
    """The certificate that ends first, by its path; None where there are none."""
    ends = sorted((end, path) for path, end in look.ends.items())
    return (ends[0][1], ends[0][0]) if ends else None


def runs_out(look: GuestLook, now: datetime) -> str:
    """Which certificates end within the time in which they are renewed, as a clause; empty when none does."""
    soon = sorted((end, path) for path, end in look.ends.items() if end - now < RENEWED)
    if not soon:
        return ""
    end, path = soon[0]
    when = f"ended on {end:%Y-%m-%d}" if end < now else f"ends on {end:%Y-%m-%d}"
    others = f", and {len(soon) - 1} more soon" if len(soon) > 1 else ""
    return f"the certificate {path} {when}{others}"
