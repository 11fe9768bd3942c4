"""What can be built: short names of tasks, each a "module:attribute" of a function."""

TASKS: dict[str, str] = {
    "folding": "tasks.folding.task:task",
}
