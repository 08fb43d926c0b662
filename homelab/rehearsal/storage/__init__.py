"""Disks, datastores and the files on them."""
