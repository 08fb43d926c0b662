"""Other machines over the network: TCP, TLS, HTTPS, NFS."""
