"""What is done to an ESXi host."""
