"""The first boot of a guest. Pure."""
