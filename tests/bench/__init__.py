"""Benches: what is measured on a quiet machine, by make targets of their own."""
