"""The ESXi shell face of a simulated host: an SSH server, its command line, and the commands."""
