"""The Kubernetes bundle as text and bytes: its list, image archives, Go modules, and what is built from what."""
