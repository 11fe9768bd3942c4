"""`designer list`: everything that can be named in a campaign file, with its settings."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console

from cli.presets import campaigns
from designer import plugins, signature
from designer.errors import InputError, nearest

FILLED = {  # parameters that the program fills in, by group
    "oracles": {"data", "workers", "device"},
    "policies": {"obs_size", "num_actions", "num_values", "seed"},
    "tables": {"terms", "penalties", "constraints", "oracle"},
}


def listing(what: str) -> None:
    """Print one group, or the groups there are."""
    groups = _groups()
    console = Console(soft_wrap=True, highlight=False)
    if not what:
        for name, entries in groups.items():
            console.print(f"[bold]{name}[/bold]: {', '.join(entries)}")
        console.print(f"[bold]campaigns[/bold]: {', '.join(campaigns())}")
        console.print("\n`designer list NAME` shows the settings of one group.")
        return
    if what == "lattices":
        _lattices(console)
        return
    if what == "campaigns":
        for name, purpose in campaigns().items():
            console.print(f"[bold]{name}[/bold]: {purpose}")
        return
    if what not in groups:
        known = [*groups, "lattices", "campaigns"]
        raise InputError(f"nothing called {what!r} to list; {nearest(what, known)}")
    for name, place in groups[what].items():
        found = plugins.resolve(name, {name: place}, allow_plugins=True)
        console.print(f"[bold]{name}[/bold]")
        for line in (inspect.getdoc(found) or "").splitlines():
            console.print(f"  {line}", markup=False)
        for line in _settings(found, FILLED.get(what, set())):
            console.print(f"    {line}", markup=False)


def _groups() -> dict[str, Mapping[str, str]]:
    from designer.differentiable import DIFFERENTIABLE
    from designer.learner import LEARNERS
    from designer.policy import POLICIES
    from designer.transforms import TRANSFORMS
    from oracles import OBJECTIVES, ORACLES, PENALTIES
    from tasks import TASKS

    return {
        "tasks": TASKS,
        "oracles": ORACLES,
        "objectives": OBJECTIVES,
        "penalties": PENALTIES,
        "transforms": TRANSFORMS,
        "policies": POLICIES,
        "learners": LEARNERS | DIFFERENTIABLE,
        "tables": {
            "campaign": "designer.settings:Settings",
            "machine": "cli.machine:Machine",
            "prior": "cli.prior:Prior",
            "scoring": "designer.objective:Objective",
            "constraint": "designer.constraints:Constraint",
            "bandit": "designer.bandit:BanditSettings",
        },
    }


def _settings(found: Callable[..., Any], filled: set[str]) -> list[str]:
    parameters = signature.parameters(found)
    shown = {name: p for name, p in parameters.items() if name not in filled}
    hints = signature.hints(found, shown)
    lines = []
    for name, parameter in shown.items():
        default = "required"
        if parameter.default is not inspect.Parameter.empty:
            default = f"= {parameter.default!r}"
        lines.append(f"{name}: {signature.type_name(hints[name])} {default}")
    return lines


def _lattices(console: Console) -> None:
    from tasks.folding.lattices import LATTICES

    for name, lattice in LATTICES.items():
        console.print(f"[bold]{name}[/bold]")
        for letter, vector in zip(lattice.letters, lattice.vectors, strict=True):
            console.print(f"    {letter} {vector}")
