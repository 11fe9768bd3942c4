"""Values of many expressions at once, and the constants that fit them to data."""
