"""What is done inside of the VMs."""
