"""The one unit that a rehearsal puts into its guests: it gives a container what it lacks of a machine.

A guest shares its kernel with the machine that the rehearsal runs on. So kernel settings that are not the network's
become copies of its own, and swap areas cannot be seen: `sysctl` and `swapoff -a` do no harm outside.
"""

import contextlib
from pathlib import Path

NAME = "rehearsal-machine.service"
SCRIPT = "usr/local/lib/rehearsal-machine"
# Files of /proc/sys/kernel that the kernel keeps for each container, or makes anew at each look, stay the kernel's.
# A plain remount of a busy controller is refused, a bind remount is not. No other machine can have a guest's IPv6
# address, and looking for one would make every boot a second longer.
SCRIPT_TEXT = """\
#!/bin/sh
for group in /sys/fs/cgroup /sys/fs/cgroup/*/; do
    mountpoint -q "$group" && mount -o remount,bind,rw "$group"
done
[ -e /dev/kmsg ] || mknod -m 600 /dev/kmsg c 1 11

own=/run/rehearsal-machine
mkdir -p $own
cp -rx /proc/sys/vm /proc/sys/fs /proc/sys/kernel $own 2>/dev/null
for live in random hostname domainname; do
    mount --rbind /proc/sys/kernel/$live $own/kernel/$live
done
for part in vm fs kernel; do
    mount --rbind $own/$part /proc/sys/$part
done
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,bind,rw /proc/sys/net
sysctl -q net.ipv6.conf.eth0.accept_dad=0
printf 'Filename\\t\\t\\t\\tType\\t\\tSize\\t\\tUsed\\t\\tPriority\\n' >$own/swaps
mount --bind $own/swaps /proc/swaps
# A guest with VMware Tools is a machine, as cloud-init sees it.
if [ -e /usr/local/bin/vmware-rpctool ]; then
    tr '\\0' '\\n' </proc/1/environ | grep -v ^container= | tr '\\n' '\\0' >$own/environ
    mount --bind $own/environ /proc/1/environ
    name=/sys/class/dmi/id/product_name
    echo VMware7,1 >$own/product_name
    [ ! -e $name ] || mount --bind $own/product_name $name
fi
mount --make-rshared /
"""
UNIT_TEXT = f"""\
[Unit]
Description=What this machine lacks of a real one
DefaultDependencies=no
Before=sysinit.target systemd-sysctl.service cloud-init-local.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/{SCRIPT}
"""


def install(root: Path) -> None:
    """Put the unit into a guest's root, enabled; one that is there already is written anew."""
    script = root / SCRIPT
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(SCRIPT_TEXT)
    script.chmod(0o755)
    units = root / "etc/systemd/system"
    (units / NAME).write_text(UNIT_TEXT)
    wanted = units / "sysinit.target.wants"
    wanted.mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (wanted / NAME).symlink_to(f"../{NAME}")
