"""The NAS: whom it refuses what (nas.py); its sockets: rpcbind, mountd, the NULL call of NFS (face.py, programs.py)."""
