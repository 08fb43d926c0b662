"""A guest, as one look over SSH sees it."""
