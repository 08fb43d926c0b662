"""The VMs of a simulated host."""
