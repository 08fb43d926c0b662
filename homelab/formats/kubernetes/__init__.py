"""What Kubernetes' own files say. Pure."""
