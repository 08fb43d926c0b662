"""Disks, sticks and images on this machine."""
