"""Files of our own: the folder `.homelab/`, what is trusted, locks, the record of a run."""
