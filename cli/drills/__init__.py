"""Faults made on purpose: each drill injects one kind many times and counts what was lost."""
