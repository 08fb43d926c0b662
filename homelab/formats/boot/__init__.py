"""What ESXi boots from and what its installer reads: boot.cfg, KS.CFG, boot banks, driver maps. Pure."""
