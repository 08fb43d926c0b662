"""Faults on demand: what there is (table), what it does (effects, guests), when (schedule), the way to it (control)."""
