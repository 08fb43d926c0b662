"""FAT32 written, FAT16 and FAT32 read. Pure."""
