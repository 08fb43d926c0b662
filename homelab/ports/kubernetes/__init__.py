"""The cluster: what its API tells its administrator, and the files that go to it."""
