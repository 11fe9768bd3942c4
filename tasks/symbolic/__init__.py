"""Equations: prefix token sequences, evaluated in batches, with fitted constants."""
