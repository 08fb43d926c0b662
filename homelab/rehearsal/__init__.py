"""A simulated lab that answers like the real one; a process of its own."""
