"""Kubernetes as text and bytes: the bundle's parts and list, manifests, kubeconfigs, and what its API says. Pure."""
