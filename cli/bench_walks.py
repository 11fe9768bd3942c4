"""`designer bench walks`: uniformly random legal walks of the molecule tasks, judged by RDKit.

Every finished row must decode to a molecule; rows that gave up are counted apart. 40 batches of
256 walks for each representation.
"""

from __future__ import annotations

import json
from typing import Any

BATCH, BATCHES = 256, 40


def walks(representation: str, batches: int = BATCHES) -> dict[str, int]:
    """Return how many walks were made, how many decoded, and how many gave up."""
    from designer.testing import walk
    from tasks.molecules.task import task

    env: Any = task(representation=representation).environment
    give_up = env.num_actions - 1 if representation == "smiles" else None
    counts = {"walks": 0, "molecules": 0, "gave_up": 0}
    for seed in range(batches):
        rows = walk(env, BATCH, seed)[0].tolist()
        counts["walks"] += len(rows)
        counts["molecules"] += sum(design is not None for design in env.decode(rows))
        counts["gave_up"] += sum(give_up in row for row in rows)
    return counts


def bench_walks(as_json: bool) -> None:
    """Print the counts for both representations."""
    found = {name: walks(name) for name in ("graph", "smiles")}
    if as_json:
        print(json.dumps(found))
        return
    for name, row in found.items():
        print(f"{name:8}" + "  ".join(f"{what} {count}" for what, count in row.items()))
