"""What can be built: short names of tasks, each a "module:attribute" of a function."""

TASKS: dict[str, str] = {
    "symbolic": "tasks.symbolic.task:task",
    "folding": "tasks.folding.task:task",
    "fold_moves": "tasks.folding.moving:moving",
    "fold_design": "tasks.folding.designing:designing",
    "signals": "tasks.control.task:signals",
    "servers": "tasks.control.task:servers",
    "offlattice": "tasks.offlattice.task:task",
    "molecules": "tasks.molecules.task:task",
}
