module vcsim

go 1.24

// v0.48.1 is the newest whose answers about VMs and NFS mounts pyVmomi can read.
require github.com/vmware/govmomi v0.48.1

require github.com/google/uuid v1.6.0 // indirect
