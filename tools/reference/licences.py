"""The page of the libraries' licences, from their metadata."""

from tools.parts import parts
from tools.reference.markdown import code, table
from tools.reference.markdown import page as whole

INTRO = """homelab itself is under Apache-2.0. These libraries are installed with it, in the versions of
`requirements.lock` where `make` installs them; each licence is written as the library's own metadata has it.
None of them travels inside of the package. `make sbom` writes the same with versions as a CycloneDX file,
`build/homelab.cdx.json`.

What the rehearsal and the guests run (Debian's packages, Kubernetes, HAProxy, nginx, keepalived) is installed
from their own sources and is no part of the package either."""


def page() -> str:
    """The page."""
    rows = [(code(part.name), part.licence, ", ".join(part.asked_by)) for part in parts()]
    return whole("Licences", INTRO, table(("library", "licence", "asked for by"), rows))
