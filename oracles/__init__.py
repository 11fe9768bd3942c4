"""What judges designs: oracles, objectives and penalties by name, each a "module:attribute"."""

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
    "bertz": "oracles.descriptors:bertz",
    "stereo_centres": "oracles.descriptors:stereo_centres",
    "sa": "oracles.sa:SyntheticAccessibility",
    "similarity": "oracles.similarity:Similarity",
    "substructure": "oracles.similarity:Substructure",
    "element_count": "oracles.isomers:ElementCount",
    "isomers": "oracles.isomers:Isomers",
    "drd2": "oracles.classifiers:drd2",
    "gsk3b": "oracles.classifiers:gsk3b",
    "jnk3": "oracles.classifiers:jnk3",
    # folds
    "energy": "oracles.energies:Energy",
    "unique_fold": "oracles.unique:UniqueFold",
    "folded_gap": "oracles.unique:FoldedGap",
    "fold_fit": "oracles.foldfit:FoldFit",
    "foldability": "oracles.foldfit:Foldability",
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

# Benchmark tasks put together from oracles; `data/objectives.toml` says how.
OBJECTIVES: dict[str, str] = {
    "albuterol_similarity": "oracles.objectives:albuterol_similarity",
    "amlodipine_mpo": "oracles.objectives:amlodipine_mpo",
    "aripiprazole_similarity": "oracles.objectives:aripiprazole_similarity",
    "celecoxib_rediscovery": "oracles.objectives:celecoxib_rediscovery",
    "deco_hop": "oracles.objectives:deco_hop",
    "fexofenadine_mpo": "oracles.objectives:fexofenadine_mpo",
    "isomers_c7h8n2o2": "oracles.objectives:isomers_c7h8n2o2",
    "isomers_c9h10n2o2pf2cl": "oracles.objectives:isomers_c9h10n2o2pf2cl",
    "isomers_c11h24": "oracles.objectives:isomers_c11h24",
    "median1": "oracles.objectives:median1",
    "median2": "oracles.objectives:median2",
    "mestranol_similarity": "oracles.objectives:mestranol_similarity",
    "osimertinib_mpo": "oracles.objectives:osimertinib_mpo",
    "perindopril_mpo": "oracles.objectives:perindopril_mpo",
    "ranolazine_mpo": "oracles.objectives:ranolazine_mpo",
    "scaffold_hop": "oracles.objectives:scaffold_hop",
    "sitagliptin_mpo": "oracles.objectives:sitagliptin_mpo",
    "thiothixene_rediscovery": "oracles.objectives:thiothixene_rediscovery",
    "troglitazone_rediscovery": "oracles.objectives:troglitazone_rediscovery",
    "valsartan_smarts": "oracles.objectives:valsartan_smarts",
    "zaleplon_mpo": "oracles.objectives:zaleplon_mpo",
}
