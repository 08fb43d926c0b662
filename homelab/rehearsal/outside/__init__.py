"""A rehearsal as the command sees it from outside."""
