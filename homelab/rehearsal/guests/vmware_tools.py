"""What a guest has of VMware Tools: `vmware-rpctool`, which asks the VM's own configuration for guestinfo.

cloud-init asks it only on a machine of VMware's, and never in a container. So a guest whose VM has guestinfo also looks
like one to cloud-init: to ds-identify by what its generator is told, to its datasource VMware by systemd-detect-virt,
dmidecode and the environment of the first process (cloudinit/dmi.py, cloudinit/util.py is_container), and to nobody
else. Its image reads that datasource as well.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

# Where a guest finds what its VM tells it: one file a key, laid there from outside.
FOLDER = "/run/rehearsal-guestinfo"
RPCTOOL = "usr/local/bin/vmware-rpctool"
# Answers go to stdout with a line's end, refusals to stderr without one (open-vm-tools, rpctool/rpctool.c).
RPCTOOL_TEXT = f"""\
#!/bin/sh
verb=${{1%% *}} rest=${{1#* }}
key=${{rest%% *}} value=${{rest#* }}
file={FOLDER}/$key
case $verb,$key in
    info-get,guestinfo.*) [ -s "$file" ] && cat "$file" && echo && exit ;;
    info-set,guestinfo.*) printf '%s' "$value" >"$file" && echo && exit ;;
    *) printf 'Unknown command' >&2; exit 1 ;;
esac
printf 'No value found' >&2
exit 1
"""
FILES = {
    RPCTOOL: RPCTOOL_TEXT,
    "usr/local/bin/systemd-detect-virt": """\
#!/bin/sh
case "$*" in *-c*) echo none; exit 1 ;; esac
echo vmware
""",
    # ds-identify is told by systemd what it runs on.
    "etc/systemd/system-generators/cloud-init-generator": """\
#!/bin/sh
SYSTEMD_VIRTUALIZATION=vm:vmware exec /usr/lib/systemd/system-generators/cloud-init-generator "$@"
""",
    "usr/local/sbin/dmidecode": """\
#!/bin/sh
case "$*" in *string?system-product-name) echo VMware7,1 ;; esac
""",
}
IMAGE_CFG = "etc/cloud/cloud.cfg.d/96_vmware.cfg"


def install(root: Path) -> None:
    """Put them into a guest's root."""
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
        (root / name).chmod(0o755)
    (root / IMAGE_CFG).write_text("datasource_list: [NoCloud, VMware, None]\n")


def tell(folder: Path, values: Mapping[str, str], before: Collection[str] = ()) -> None:
    """Lay down what a VM's configuration says; of `before` goes what it does not say any more."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for key in {*before} - {*values}:
        (folder / key).unlink(missing_ok=True)
    for key, value in values.items():
        (folder / key).touch(mode=0o600)
        (folder / key).write_text(value)
