"""The managed objects, by area; the face finds every class in here by its name."""
