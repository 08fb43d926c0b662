"""Sentences that can be polled: what must hold before anything is changed, and after it."""
