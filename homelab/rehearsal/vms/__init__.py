"""The VMs of a simulated host: the inventory (registry), their power, the questions they ask, leases of imports."""
