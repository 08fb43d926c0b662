"""One simulated ESXi host: its state and its physics. Knows no protocol."""
