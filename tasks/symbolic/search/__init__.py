"""The evolution that searches in the loop, and what closes a context exactly."""
