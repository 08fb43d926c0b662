"""What a host has mounted (datastores), the folders behind it (volumes), and disks as files."""
