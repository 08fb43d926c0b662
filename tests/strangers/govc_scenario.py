"""What current govc is asked of one simulated host, in this order: a line a command.

A line that begins with `!` must change the host, one with `?` only asks. VMs: `alpha` is off, `beta` runs. What a
standalone host does not have, whoever asks (vCenter's own, and what needs one), is named by BEYOND; what the VMware
Tools in a guest answer, by `asks_tools`: the lab's guests have none, so it must be refused.
"""

BEYOND = (
    *("alarm", "cluster.", "content", "datacenter.create", "datastore.cluster", "datastore.maintenance"),
    *("datastore.vsan", "device.clock", "dvs.", "extension.", "fields.", "folder.", "gpu.", "host.add"),
    *("host.disconnect", "host.reconnect", "host.remove", "kms.", "library."),
    *("license.assign", "namespace.", "object.method", "object.mv", "sso.", "storage.policy", "tags.", "vapp."),
    *("vcsa.", "vlcm.", "vm.clone", "vm.customize", "vm.dataset", "vm.instantclone", "vm.migrate", "vm.policy"),
    *("volume.", "vsan.", "disk.tags", "vm.markas"),
    *("metric.change", "metric.reset", "metric.interval.change", "disk.metadata"),
)
# What asks no host.
LOCAL = ("env", "import.spec", "version")
LINES = """
? about
? about.cert
? ls
? ls host
? find
? find / -type m
? find / -type h -runtime.connectionState connected
? tree
? collect HostSystem:ha-host summary
? collect -s HostSystem:ha-host hardware.memorySize
? collect VirtualMachine:1
? collect ServiceInstance:ServiceInstance content
? datacenter.info
? object.save -d saved
! object.rename vm/delta renamed
! object.destroy vm/gamma
? object.reload vm/alpha
? host.info
? host.info -json
? host.date.info
! host.date.change -server 192.168.1.1
? host.service.ls
! host.service start TSM-SSH
? host.option.ls UserVars.SuppressShellWarning
! host.option.set UserVars.SuppressShellWarning 1
? host.esxcli network nic list
? host.esxcli network firewall get
? host.esxcli network vm list
? host.esxcli network vswitch standard list
? host.esxcli vm process list
? host.esxcli hardware platform get
? firewall.ruleset.find -direction inbound -port 22
? host.autostart.info
! host.autostart.configure -enabled=true
! host.autostart.add alpha
! host.autostart.remove alpha
? host.storage.info -t lun
? host.storage.info -t hba
! host.storage.mark -ssd=false DISK
? host.storage.partition DISK
? host.vswitch.info
! host.vswitch.add -mtu 9000 vSwitch7
! host.portgroup.add -vswitch vSwitch7 -vlan 7 lab
? host.portgroup.info
! host.portgroup.change -vlan-id 8 lab
! host.portgroup.remove lab
! host.vswitch.remove vSwitch7
? host.vnic.info
? host.vnic.hint -json
! host.vnic.service -enable vmotion vmk0
! host.vnic.change -mtu 9000 vmk0
? host.tpm.info
? host.tpm.report
? host.cert.info
? host.cert.csr
! host.cert.import new.pem
! host.account.create -id guest -password Secret-1234
! host.account.update -id guest -password Secret-5678
? role.ls
? role.usage
! role.create watcher System.View
! role.update watcher System.Read
! role.remove watcher
? permissions.ls
! permissions.set -principal guest -role ReadOnly /
! permissions.remove -principal guest /
! host.account.remove -id guest
? session.ls
! session.rm OTHER
? session.login
? session.logout
? license.ls
? license.decode KEY
! license.add KEY
! license.label.set KEY rack seven
! license.remove KEY
? option.ls
! option.set Config.HostAgent.log.level verbose
? tasks
? task.cancel TASK
? events
? logs.ls
? logs -log hostd
? logs.download
? metric.ls host/brix1/brix1
? metric.info host/brix1/brix1 sys.uptime.latest
? metric.sample host/brix1/brix1 sys.uptime.latest
? metric.interval.info
? pool.info */Resources
! pool.create */Resources/small
! pool.change -cpu.limit 1000 */Resources/small
! pool.destroy */Resources/small
? datastore.info
? datastore.info NAS
? datastore.ls
! datastore.mkdir more
! datastore.upload up.txt files/up.txt
? datastore.download files/up.txt -
? datastore.tail files/up.txt
! datastore.cp files/up.txt files/copy.txt
! datastore.mv files/copy.txt files/moved.txt
! datastore.rm files/moved.txt
! datastore.disk.create -size 4M files/disk.vmdk
? datastore.disk.info files/disk.vmdk
! datastore.disk.extend -size 8M files/disk.vmdk
! datastore.disk.inflate files/disk.vmdk
! datastore.disk.shrink files/disk.vmdk
! datastore.create -type nfs -name MORE -remote-host NASHOST -remote-path /volume2/more *
! datastore.remove -ds MORE *
! vm.create -m 64 -c 1 -on=false -version 6.0 -net VM\\ Network -disk 4MB epsilon
? vm.info alpha
? vm.info -e alpha
? vm.info -r alpha
? vm.info -t alpha
? vm.option.info -host brix1
? vm.option.ls
? vm.target.info -host brix1
? vm.target.cap.ls -host brix1
! vm.change -vm alpha -c 2 -m 128 -annotation text
! vm.change -vm alpha -e guestinfo.x=y
! vm.change -vm alpha -nested-hv-enabled=true
! vm.change -vm alpha -latency high
! vm.change -vm alpha -latency normal
! vm.change -vm alpha -cpu.limit 1000
! vm.change -vm alpha -sync-time-with-host=true
! vm.network.add -vm alpha -net VM\\ Network -net.adapter vmxnet3
! vm.network.change -vm alpha -net VM\\ Network -net.address 00:50:56:00:00:11 ethernet-0
! vm.disk.create -vm alpha -name alpha/more -size 4M
! vm.disk.attach -vm alpha -disk files/disk.vmdk -link=false
! vm.disk.change -vm alpha -disk.label Hard\\ disk\\ 1 -size 2G
! vm.upgrade -vm epsilon -version 13
! vm.disk.promote -vm alpha disk-1000-0
? device.ls -vm alpha
? device.info -vm alpha
? device.info -vm alpha disk-*
? device.info -vm alpha ide-*
? device.model.tree VirtualE1000
! device.boot -vm alpha -delay 1000
! device.boot -vm alpha -order cdrom,disk
! device.boot -vm alpha -firmware efi
! device.cdrom.add -vm alpha
! device.cdrom.insert -vm alpha files/seed.iso
! device.cdrom.eject -vm alpha
! device.disconnect -vm beta ethernet-0
! device.connect -vm beta ethernet-0
! device.scsi.add -vm alpha -type pvscsi
! device.sata.add -vm alpha
! device.floppy.add -vm alpha
! device.floppy.insert -vm alpha files/up.txt
! device.floppy.eject -vm alpha
! device.serial.add -vm alpha
! device.serial.connect -vm alpha -device serialport-9000 files/serial.log
! device.serial.disconnect -vm alpha -device serialport-9000
! device.usb.add -vm alpha
! device.remove -vm alpha ethernet-0
? device.pci.ls -vm alpha
! device.pci.add -vm alpha 0000:00:1f.6
! device.pci.remove -vm alpha pcipassthrough-13000
? vm.rdm.ls -vm alpha
! vm.rdm.attach -vm alpha -device DISK
! snapshot.create -vm alpha first
? snapshot.tree -vm alpha
? snapshot.export -vm alpha -d exported first
! snapshot.revert -vm alpha first
! snapshot.remove -vm alpha first
! vm.power -on alpha
! vm.power -off -force alpha
! vm.power -suspend beta
? vm.question -vm alpha
? vm.ip -wait 1s beta
? vm.console beta
? vm.keystrokes -vm beta -s x
? vm.vnc beta
! vm.vnc -enable -password 1234 alpha
! vm.guest.tools -mount beta
? guest.ls -vm beta -l root:x /
? guest.ps -vm beta -l root:x
? guest.df -vm beta
? guest.run -vm beta -l root:x /bin/true
? guest.start -vm beta -l root:x /bin/true
? guest.getenv -vm beta -l root:x
? guest.kill -vm beta -l root:x -p 1
? guest.mkdir -vm beta -l root:x /x
? guest.mktemp -vm beta -l root:x
? guest.mv -vm beta -l root:x /x /y
? guest.rm -vm beta -l root:x /y
? guest.rmdir -vm beta -l root:x /y
? guest.touch -vm beta -l root:x /y
? guest.chmod -vm beta -l root:x 0644 /y
? guest.chown -vm beta -l root:x 0 /y
? guest.upload -vm beta -l root:x up.txt /y
? guest.download -vm beta -l root:x /y -
! disk.create -size 4M fcd
? disk.ls
! disk.register files/free.vmdk free
! disk.rm FCD
? disk.attach -vm alpha fcd
? disk.detach -vm alpha fcd
? disk.snapshot.create fcd first
? disk.snapshot.ls fcd
? disk.snapshot.rm fcd first
! import.vmdk golden.vmdk imported
! import.ovf machine.ovf
! import.ova machine.ova
? export.ovf -vm alpha exported
! vm.unregister alpha
! vm.register alpha/alpha.vmx
! vm.destroy alpha
! vm.power -off -force beta
! host.maintenance.enter -evacuate=false -timeout 5 brix1
! host.maintenance.exit brix1
! host.shutdown -r -f brix1
"""


def asks_tools(command: str) -> bool:
    """Whether a command is one for the VMware Tools in a guest."""
    return command.startswith("guest.") and command != "guest.df"


def standalone(command: str) -> bool:
    """Whether a command is one for a standalone host."""
    return not command.startswith(BEYOND)
