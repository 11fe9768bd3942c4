"""Molecules: token by token (`smiles`), atom by atom (`graph`), and genetic operators on them."""
