"""Steps on this machine: images of sticks, and sticks."""
