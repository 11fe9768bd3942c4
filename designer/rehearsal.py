"""What a campaign goes over again: the best found, to report, to breed from and to imitate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from designer.memory import Archive, Elite, Elites, Found
from designer.protocols import Floats, Learns, Scored, Spelling, Task, Trajectory
from designer.rollout import attempt
from designer.round import Asked, Batch
from designer.settings import Settings
from designer.walk import spelling, stacked, together, trimmed, unjudged

TRIES = 2  # further spellings guessed for a design that has none yet


class Rehearsal:
    """The elites and the archive of one campaign, and how it learns from them again."""

    def __init__(self, task: Task, settings: Settings, device: torch.device) -> None:
        self.settings, self.device = settings, device
        self.env, self.parse = task.environment, task.parse
        self.encode = getattr(task.environment, "encode", None)  # spells designs
        self.guess = getattr(task.environment, "guess", None)  # guesses spellings
        self.elites = Elites(settings.elites, focus=settings.focus, newest=settings.newest)
        self.archive = Archive(settings.keep)
        self._walked: dict[str, Trajectory] = {}  # how the environment sees elites, by key

    def forget(self) -> None:
        """Begin with no elites again; what is to be reported stays."""
        self.elites.clear()
        self._walked = {}

    def remember(
        self,
        batch: Asked,
        scored: Scored,
        worth: Floats,
        keep: NDArray[np.bool_],
        step: int,
        spent: int,
    ) -> None:
        """Take in what is new, measured, and wanted by `keep` [N]: as elites by `worth` [N]."""
        elite: list[int] = []
        for row in np.flatnonzero(scored.fresh & np.isfinite(scored.merit) & keep).tolist():
            reward, done = float(scored.reward[row]), scored.designs[row]
            merit = float(scored.merit[row])
            if self.archive.wants(reward, done.complexity, merit):
                scores = {name: float(values[row]) for name, values in scored.columns.items()}
                place = (done.complexity, step, spent)
                self.archive.add(Found(done.text, reward, scores, *place, done.key, merit))
            if self.elites.wants(float(worth[row])):
                elite.append(row)
        walked = {}
        for row, spelled in zip(elite, self._spelled(batch, elite), strict=True):
            self.elites.add(batch.designs[row], spelled, float(worth[row]))
            if row < batch.sampled:
                walked[batch.designs[row].key] = row
        again = self.settings.rounds > 1 or not self.settings.augment  # else all is spelled anew
        if self.settings.replay and again and walked and isinstance(batch, Batch):
            parts = trimmed(unjudged(batch.trajectory.rows(list(walked.values()))))
            self._walked |= dict(zip(walked, parts, strict=True))

    def _spelled(self, batch: Asked, rows: Sequence[int]) -> list[Spelling | None]:
        """Return what builds each row's design; proposals are encoded all at once.

        Where an environment can guess spellings, proposals wait until they are drawn for replay.
        """
        found: dict[int, Any] = {row: batch.spelling(row) for row in rows if row < batch.sampled}
        proposed = [row for row in rows if row >= batch.sampled]
        if proposed and self.encode is not None and self.guess is None:
            encoded = self.encode([batch.designs[row] for row in proposed], None)
            found |= dict(zip(proposed, encoded, strict=True))
        return [None if found.get(row) is None else spelling(found[row]) for row in rows]

    def imitate(self, learner: Learns, rng: np.random.Generator) -> dict[str, Any]:
        """Replay rank-drawn elites, spelled anew where the task knows several spellings."""
        settings = self.settings
        if settings.replay == 0 or len(self.elites) < settings.replay_from:
            return {}
        rounds = [self.elites.draw(settings.replay, rng) for _ in range(settings.rounds)]
        self._walk(rounds, rng)
        times = Counter(elite.key for drawn in rounds for elite in drawn)
        distinct = {elite.key: elite for drawn in rounds for elite in drawn}
        known = [elite for elite in distinct.values() if elite.key in self._walked]
        counts = np.array([times[elite.key] for elite in known], dtype=np.float64)
        figures: dict[str, list[Any]] = {}
        for part in self._parts(known, counts, rng):
            trajectory = stacked([self._walked[known[i].key] for i in part])
            reward = self._tensor([known[i].reward for i in part])
            told = learner.imitate(trajectory, reward, self._tensor(counts[part]))
            for name, value in told.items():
                figures.setdefault(f"imitation_{name}", []).append(value)
        return {name: torch.stack(values).mean() for name, values in figures.items()}

    def _parts(
        self, elites: Sequence[Elite], counts: NDArray[np.float64], rng: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        """Return places of elites in minibatches, one a round: of similar length and equal weight.

        An elite that was drawn several times is walked once, and counts as often; rows of similar
        length leave little to pad.
        """
        lengths = [self._walked[elite.key].actions.shape[1] for elite in elites]
        ranked = np.argsort(lengths, kind="stable")
        if self.settings.rounds == 1 or not len(ranked):
            return [ranked] if len(ranked) else []
        middle = counts[ranked].cumsum() - counts[ranked] / 2
        belongs = (middle * self.settings.rounds / counts.sum()).astype(np.int64)
        order = rng.permutation(self.settings.rounds).tolist()
        parts = [ranked[belongs == place] for place in order]
        return [part for part in parts if len(part)]

    def _tensor(self, values: Any) -> torch.Tensor:
        return torch.as_tensor(np.asarray(values), dtype=torch.float32).to(self.device)

    def _walk(self, rounds: Sequence[Sequence[Elite]], rng: np.random.Generator) -> None:
        """Walk what was drawn and is not walked yet, and the first round's new spellings.

        A walk is kept until its elite is spelled anew or forgotten; it follows from the spelling
        alone, so a resumed run finds the same one again.
        """
        anew = {elite.key for elite in rounds[0]} if self.settings.augment else set()
        distinct = {elite.key: elite for drawn in rounds for elite in drawn}
        tries: list[tuple[Elite, Spelling]] = []
        new = [e for e in distinct.values() if e.key in anew or e.spelling is None]
        for elite, spelled in zip(new, self._spellings(new, rng), strict=True):
            tries += [(elite, each) for each in spelled if not self._walked_as(elite, each)]
        for elite in distinct.values():
            if elite.spelling is not None and elite.key not in self._walked:
                tries.append((elite, elite.spelling))
        if tries:
            self._take(tries)
        for elite in distinct.values():
            if elite.key not in self._walked:  # it cannot be built, or not any more
                self.elites.spell(elite, None)
        if len(self._walked) > 2 * self.settings.elites:
            held = {elite.key for elite in self.elites.best(self.settings.elites)}
            self._walked = {key: walk for key, walk in self._walked.items() if key in held}

    def _walked_as(self, elite: Elite, spelled: Spelling) -> bool:
        """Return whether the elite's walk is that of this spelling already."""
        before = elite.spelling
        if before is None or elite.key not in self._walked or before.given or spelled.given:
            return False
        return list(spelled.actions) == list(before.actions)

    def _take(self, tries: Sequence[tuple[Elite, Spelling]]) -> None:
        """Walk the spellings all together, and keep the first that is legal for each elite."""
        actions, given = together([spelled for _, spelled in tries])
        trajectory, wrong = attempt(self.env, actions, device=self.device, **given)
        walks, done = trimmed(trajectory), set[str]()
        for (elite, spelled), walk, at in zip(tries, walks, wrong.tolist(), strict=True):
            if at < 0 and elite.key not in done:
                done.add(elite.key)
                self._walked[elite.key] = walk
                before = elite.spelling
                if before is None or list(spelled.actions) != list(before.actions):
                    self.elites.spell(elite, spelled)

    def _spellings(self, elites: Sequence[Elite], rng: np.random.Generator) -> list[list[Spelling]]:
        """Return spellings to try for each elite, `TRIES` more for one that has none yet."""
        if self.encode is None or not elites:
            return [[] for _ in elites]
        source = rng if self.settings.augment else None  # None: the plain spelling
        designs = [elite.design for elite in elites]
        if self.guess is None:
            rows = self.encode(designs, source)
            return [[] if row is None else [spelling(row)] for row in rows]
        counts = [TRIES if elite.spelling is None else 0 for elite in elites]
        asked = [design for design, n in zip(designs, counts, strict=True) for _ in range(n)]
        first, more = self.guess(designs, source), iter(self.guess(asked, rng))
        tried = [[row, *islice(more, n)] for row, n in zip(first, counts, strict=True)]
        return [[Spelling(row) for row in each if row is not None] for each in tried]

    def state(self) -> dict[str, Any]:
        """Return plain data for a checkpoint."""
        return {"elites": self.elites.state(), "archive": self.archive.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a checkpoint."""
        self._walked = {}
        self.elites.restore(state["elites"], self._rebuild)
        self.archive.restore(state["archive"])

    def _rebuild(self, text: str, spelled: Spelling | None) -> Any:
        if spelled is None:
            return self.parse(text)
        actions, given = together([spelled])
        return self.env.decode(actions, **given)[0]
