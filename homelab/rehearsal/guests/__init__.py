"""Real Linux guests in the place of VMs."""
