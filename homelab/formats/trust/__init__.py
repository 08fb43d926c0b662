"""Keys, pins and masks: what is trusted, and what must not be seen. Pure."""
