"""The `[[proposer]]` tables: the search in the loop, and the bandit that chooses among several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from designer.bandit import Bandit, BanditSettings
from designer.config import Document
from designer.errors import nearest
from designer.protocols import Task
from designer.settings import Settings
from designer.toml import Keys


def with_proposers(
    document: Document, task: Task, settings: Settings, find: Callable[..., Any]
) -> Task:
    """Return the task with the proposers of the `[[proposer]]` tables, several as a bandit's arms.

    Without `kind` a table changes settings of the task's own proposer.
    """
    paths = document.tables(("proposer",))
    if not paths:
        if "bandit" in document.data:
            raise document.error(("bandit",), "a bandit needs two or more [[proposer]] tables")
        return task
    arms = [_proposer(document, find, path, task) for path in paths]
    if settings.proposals == 0:
        text = "campaign.proposals is 0, so no proposer is asked; set it, or leave [[proposer]] out"
        raise document.error(("proposer",), text)
    chosen: BanditSettings = document.build(("bandit",), BanditSettings)
    if len(arms) == 1 and "bandit" in document.data:
        raise document.error(("bandit",), "a bandit with one arm has no choice; add a [[proposer]]")
    return replace(task, proposer=arms[0] if len(arms) == 1 else Bandit(arms, chosen))


def _proposer(document: Document, find: Callable[..., Any], path: Keys, task: Task) -> Any:
    table, own = document.table(path), task.proposer
    if "kind" in table:
        return document.build(path, find(path, {}), {"environment": task.environment})
    if own is None or not is_dataclass(own):
        raise document.error(path, f"task {task.name!r} has no proposer of its own; name a kind")
    names = [f.name for f in fields(own) if f.init]
    for key in table:
        if key not in names:
            text = f"unknown key {key!r} in the proposer of {task.name!r}; {nearest(key, names)}"
            raise document.error((*path, key), text)
    held = {f.name: getattr(own, f.name) for f in fields(own) if f.init and f.name not in table}
    return document.build(path, type(own), held)
