"""The NAS's face at its own address: rpcbind, mountd, and the NULL call of NFS; it serves no files."""
