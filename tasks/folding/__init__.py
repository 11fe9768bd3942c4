"""Lattice proteins: chains folded as self-avoiding walks on four lattices.

`task` ties it together; `Chain` is the environment, `Fold` the design, `ReplicaExchange` and, on
the policy's device, `BatchedExchange` the search on finished folds. Everything else is a plain
function of a fold, its sequence or its coordinates.
"""
