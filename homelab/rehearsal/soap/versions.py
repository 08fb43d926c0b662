"""The API versions of each release: what a host names as its newest, and what it still speaks."""

NEWEST = {"6.5": "6.5", "6.7": "6.7", "7.0.0": "7.0.0.0", "7.0.3": "7.0.3.0", "8.0.0": "8.0.0.0", "8.0.3": "8.0.3.0"}
NAMES = {
    "6.5": "vim.version.version11",
    "6.7": "vim.version.version12",
    "7.0.0.0": "vim.version.v7_0",
    "7.0.3.0": "vim.version.v7_0_3_0",
    "8.0.0.0": "vim.version.v8_0_0_0",
    "8.0.3.0": "vim.version.v8_0_3_0",
}
# Newest first, as a host lists them.
KNOWN = (
    *("8.0.3.0", "8.0.2.0", "8.0.1.0", "8.0.0.1", "8.0.0.0"),
    *("7.0.3.2", "7.0.3.1", "7.0.3.0", "7.0.2.1", "7.0.2.0", "7.0.1.1", "7.0.1.0", "7.0.0.2", "7.0.0.0"),
    *("6.9.1", "6.8.7", "6.7.3", "6.7.2", "6.7.1", "6.7", "6.5"),
    *("6.0", "5.5", "5.1", "5.0", "4.1", "4.0", "2.5u2", "2.5"),
)


def api_version(release: str) -> str:
    """The newest API version of a release such as `6.7.0`; KeyError for one that the rehearsal does not know."""
    return NEWEST[release] if release in NEWEST else NEWEST[".".join(release.split(".")[:2])]


def document(newest: str) -> bytes:
    """The list of API versions by which clients choose one."""
    prior = "".join(f"<version>{version}</version>" for version in KNOWN[KNOWN.index(newest) + 1 :])
    return (
        '<?xml version="1.0" encoding="UTF-8" ?><namespaces version="1.0"><namespace><name>urn:vim25</name>'
        f"<version>{newest}</version><priorVersions>{prior}</priorVersions></namespace></namespaces>"
    ).encode()
