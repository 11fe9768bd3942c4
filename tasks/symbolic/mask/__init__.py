"""Which tokens may come next: the environment, its constraints, and dimensional analysis."""
