"""The AB model: chains of two kinds of residues in continuous space, unit bonds, free angles.

`task` ties it together; `Angles` is the environment (its choices are real numbers), `Conformation`
the design, `Relaxation` the search on finished conformations, `energy` the energy in torch.
"""
