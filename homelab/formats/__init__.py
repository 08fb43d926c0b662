"""Text and bytes, written and read. Pure."""
