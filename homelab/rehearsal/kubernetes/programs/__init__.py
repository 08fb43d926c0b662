"""The programs of the stand-in bundle. They run on guests: Python's standard library and `openssl`, nothing else."""
