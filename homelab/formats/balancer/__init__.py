"""The balancers' files. Its modules are links to the playbooks' filters: playbooks/ runs without homelab."""
