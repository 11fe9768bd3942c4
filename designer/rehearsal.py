"""What a campaign goes over again: the best found, to report, to breed from and to imitate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from designer.learner import Learner
from designer.memory import Archive, Elites, Found
from designer.protocols import Scored, Spelling, Task
from designer.rollout import retrace
from designer.round import Asked
from designer.settings import Settings
from designer.walk import spelling, together


class Rehearsal:
    """The elites and the archive of one campaign, and how it learns from them again."""

    def __init__(self, task: Task, settings: Settings, device: torch.device) -> None:
        self.settings, self.device = settings, device
        self.env, self.parse = task.environment, task.parse
        self.encode = getattr(task.environment, "encode", None)
        self.elites = Elites(settings.elites, focus=settings.focus)
        self.archive = Archive(settings.keep)

    def remember(
        self, batch: Asked, scored: Scored, keep: NDArray[np.bool_], step: int, spent: int
    ) -> None:
        """Take in what is new, measured, and wanted by `keep` [N]."""
        elite: list[int] = []
        for row in np.flatnonzero(scored.fresh & np.isfinite(scored.merit) & keep).tolist():
            reward, done = float(scored.reward[row]), scored.designs[row]
            merit = float(scored.merit[row])
            if self.archive.wants(reward, done.complexity, merit):
                scores = {name: float(values[row]) for name, values in scored.columns.items()}
                place = (done.complexity, step, spent)
                self.archive.add(Found(done.text, reward, scores, *place, done.key, merit))
            if reward > self.elites.threshold:
                elite.append(row)
        for row, spelled in zip(elite, self._spelled(batch, elite), strict=True):
            self.elites.add(batch.designs[row], spelled, float(scored.reward[row]))

    def _spelled(self, batch: Asked, rows: Sequence[int]) -> list[Spelling | None]:
        """Return what builds each row's design; proposals are encoded all at once."""
        found: dict[int, Any] = {row: batch.spelling(row) for row in rows if row < batch.sampled}
        proposed = [row for row in rows if row >= batch.sampled]
        if proposed and self.encode is not None:
            encoded = self.encode([batch.designs[row] for row in proposed], None)
            found |= dict(zip(proposed, encoded, strict=True))
        return [None if found.get(row) is None else spelling(found[row]) for row in rows]

    def imitate(self, learner: Learner, rng: np.random.Generator) -> dict[str, Any]:
        """Replay rank-drawn elites, spelled anew where the task knows several spellings."""
        if self.settings.replay == 0 or len(self.elites) < self.settings.replay_from:
            return {}
        drawn = self.elites.draw(self.settings.replay, rng)
        if not drawn:
            return {}
        rows = [Spelling(elite.actions or (), elite.given) for elite in drawn]
        if self.settings.augment and self.encode is not None:
            spelled = self.encode([elite.design for elite in drawn], rng)
            rows = [spelling(new) if new else old for new, old in zip(spelled, rows, strict=True)]
        actions, given = together(rows)
        trajectory = retrace(self.env, actions, device=self.device, **given)
        rewards = np.array([elite.reward for elite in drawn])
        reward = torch.as_tensor(rewards, dtype=torch.float32).to(self.device)
        metrics = learner.imitate(trajectory, reward, torch.ones_like(reward))
        return {f"imitation_{name}": value for name, value in metrics.items()}

    def state(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        return {"elites": self.elites.state(), "archive": self.archive.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a checkpoint."""
        self.elites.restore(state["elites"], self._rebuild)
        self.archive.restore(state["archive"])

    def _rebuild(self, text: str, spelled: Spelling | None) -> Any:
        if spelled is None:
            return self.parse(text)
        actions, given = together([spelled])
        return self.env.decode(actions, **given)[0]
