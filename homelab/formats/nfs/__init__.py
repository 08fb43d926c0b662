"""What NFS servers are asked and answer. Pure."""
