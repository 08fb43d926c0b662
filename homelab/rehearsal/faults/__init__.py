"""Harm on demand: what there is (table), what it does (acts, guests), when (orders), and the way to it (control)."""
