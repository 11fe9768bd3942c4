"""Control under chance: traffic signals that act in turn, and a server pool with a latency bound.

Chance is a seed a row, drawn at reset and carried in the state: every arrival is a pure function
of seed, time and place, so `step` is pure and every day can be lived again.
"""
