"""`designer bench walks`: uniformly random legal walks of the molecule tasks, judged by RDKit.

Every finished row must decode to a molecule; rows that gave up are counted apart. 40 batches of
256 walks for each representation.
"""

from __future__ import annotations

import json
from typing import Any

BATCH, BATCHES = 256, 40


SCAFFOLDS = ("c1ccc([*:1])cc1[*:2]", "[*:1]c1ccccc1.[*:2]C1CCNCC1")  # decorated, linked


def walks(representation: str, batches: int = BATCHES, scaffold: str = "") -> dict[str, int]:
    """Return how many walks were made, how many decoded, and how many gave up.

    With a scaffold also how many products have it.
    """
    from designer.testing import walk
    from tasks.molecules.task import task

    env: Any = task(representation=representation, scaffold=scaffold).environment
    give_up = env.num_actions - 1 if representation == "smiles" else None
    counts = {"walks": 0, "molecules": 0, "gave_up": 0} | ({"kept": 0} if scaffold else {})
    for seed in range(batches):
        rows = walk(env, BATCH, seed)[0].tolist()
        counts["walks"] += len(rows)
        designs = [design for design in env.decode(rows) if design is not None]
        counts["molecules"] += len(designs)
        counts["gave_up"] += sum(give_up in row for row in rows)
        if scaffold:
            counts["kept"] += sum(env.keeps(design.mol) for design in designs)
    return counts


def bench_walks(as_json: bool) -> None:
    """Print the counts for each representation, and for two scaffolds."""
    found = {name: walks(name) for name in ("graph", "fragments", "smiles")}
    found |= {f"graph {text}": walks("graph", scaffold=text) for text in SCAFFOLDS}
    found[f"fragments {SCAFFOLDS[0]}"] = walks("fragments", scaffold=SCAFFOLDS[0])
    if as_json:
        print(json.dumps(found))
        return
    for name, row in found.items():
        print(f"{name:35}" + "  ".join(f"{what} {count}" for what, count in row.items()))
