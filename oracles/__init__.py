"""What judges designs: short names of oracles and penalties, each a "module:attribute"."""

ORACLES: dict[str, str] = {
    # molecules
    "qed": "oracles.descriptors:qed",
    "logp": "oracles.descriptors:logp",
    "tpsa": "oracles.descriptors:tpsa",
    "mw": "oracles.descriptors:mw",
    "heavy_atoms": "oracles.descriptors:heavy_atoms",
    "rings": "oracles.descriptors:rings",
    "aromatic_rings": "oracles.descriptors:aromatic_rings",
    "rotatable_bonds": "oracles.descriptors:rotatable_bonds",
    "hbd": "oracles.descriptors:hbd",
    "hba": "oracles.descriptors:hba",
    "fsp3": "oracles.descriptors:fsp3",
    "stereo_centres": "oracles.descriptors:stereo_centres",
    "sa": "oracles.sa:SyntheticAccessibility",
    "similarity": "oracles.similarity:Similarity",
    "substructure": "oracles.similarity:Substructure",
    # folds
    "energy": "oracles.energies:Energy",
    "ab_energy": "oracles.offlattice:AbEnergy",
    # equations
    "fit": "oracles.fit:Fit",
    # the user's own: a model, and (by consent) a function or a program
    "surrogate": "oracles.surrogate:surrogate",
    "custom_surrogate": "oracles.surrogate:custom_surrogate",
    "laboratory": "designer.laboratory:Laboratory",
    "python": "oracles.python:python",
    "program": "oracles.program:Program",
}

PENALTIES: dict[str, str] = {
    "weighted_complexity": "oracles.complexity:WeightedComplexity",
    "description_length": "oracles.complexity:DescriptionLength",
    "radius_of_gyration": "oracles.energies:RadiusOfGyration",
    "complexity": "oracles.penalties:Complexity",
    "token_length": "oracles.penalties:TokenLength",
    "heavy_atoms": "oracles.penalties:HeavyAtoms",
    "sa": "oracles.penalties:SyntheticAccessibility",
}
