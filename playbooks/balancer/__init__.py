"""The balancers' renderers. Pure, and free of all but Python, so that the playbooks run without homelab.

filter_plugins/balancer.py brings them to Ansible; homelab.formats.balancer has links to the same files.
"""
