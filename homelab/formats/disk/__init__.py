"""Disks and sticks: what is on them, how they are told apart, and how their images look. Pure."""
