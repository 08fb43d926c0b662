"""From an empty USB port to a highly available Kubernetes API on a handful of mini-PCs."""

__version__ = "0.1.0"
