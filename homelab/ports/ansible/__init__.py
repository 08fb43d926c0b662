"""The door to Ansible: the inventory as it merges it, and plays."""
