"""The balancers' files. Its modules are links to the playbooks' renderers: playbooks/ runs without homelab."""
