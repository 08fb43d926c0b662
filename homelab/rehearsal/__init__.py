"""A simulated lab that answers like the real one; a process of its own. Rooms import what is below them.

outside                   starts the lab's process, and the ways into it
faults                    harm on demand: what there is, what it does, when
served_host               one host with both faces, and its place in the network
soap, shell               the faces: the vSphere API over HTTPS, the ESXi shell over SSH
host                      the parts of a host: power, drivers, services, network; host.Host has them all
vms                       its VMs: inventory, power, questions, leases
storage                   its datastores, and disks as files
nas, guests, kubernetes   what it stands on: the NFS server, real Linux guests, a stand-in for Kubernetes
state                     plain state that the others share, and the words for a refusal
"""
