"""What is done to VMs and to the image that they are copied from."""
