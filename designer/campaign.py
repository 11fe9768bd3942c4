"""The loop: ask the policy for designs, judge them, tell the learner. Readable on one screen.

    sample -> decode -> score -> shape -> learn -> record

`run` is `ask`, `judge`, `tell` until something says stop. `ask` and `tell` can also be called
days apart, with people or a laboratory as the oracle in between (`designer.laboratory`).
Decisions depend on counts, never on the clock; the clock can only stop a run. So the same seed
gives the same run, and a resumed run the same as an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from designer.constraints import Multipliers
from designer.diversity import diversity_filter, lowered
from designer.ending import Result, ranked, reached
from designer.errors import InputError
from designer.meter import Meter
from designer.objective import Objective
from designer.proposing import engaged, inform, memory_of, metrics_of, pay, remind
from designer.protocols import Floats, Learns, Scored, Task
from designer.rehearsal import Rehearsal
from designer.restarts import Restarts
from designer.rollout import replay, rollout
from designer.round import Asked, Batch, Outstanding, figures, rows
from designer.settings import CLOCKS, Settings
from designer.store import DesignRow, Store

Metrics = dict[str, float]
BARREN = 50_000  # samples, none of them valid, that end a campaign: nothing could be learned


class Campaign:
    """One search for one objective. Everything that changes is in `state()`."""

    def __init__(
        self,
        task: Task,
        learner: Learns,
        objective: Objective,
        settings: Settings,
        *,
        store: Store | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.task, self.learner, self.objective = task, learner, objective
        self.settings, self.store, self.device = settings, store, torch.device(device)
        self.meter = Meter(
            objective.oracles,
            objective.penalty_oracles,
            budget=settings.budget,
            ledger=store,
            max_failure_rate=settings.max_failure_rate,
            parse=task.parse,
        )
        self.task = replace(task, proposer=engaged(task.proposer, self.meter, learner.policy))
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.rng = np.random.default_rng(settings.seed)
        self.rehearsal = Rehearsal(self.task, settings, self.device)
        self.elites, self.archive = self.rehearsal.elites, self.rehearsal.archive
        first = learner.state_dict() if settings.restart else {}
        self.restarts = Restarts(settings.restart, first, settings.hop, settings.hops)
        self.filter = diversity_filter(task, settings)
        self.multipliers = Multipliers(objective.constraints)
        self.steps, self.seconds, self.stale = 0, 0.0, 0
        self.skipped = 0  # steps in a row whose gradient was not finite
        self.outstanding = Outstanding()  # designs that people are measuring
        self._bred: list[DesignRow] = []  # rows of this step's earlier generations

    def run(
        self,
        *,
        on_step: Callable[[Metrics], None] = lambda metrics: None,
        stop: Callable[[], str | None] = lambda: None,
        save: Callable[[], None] = lambda: None,
    ) -> Result:
        """Search until a limit is met, and return what was found.

        `on_step` sees each step's metrics; `stop` is asked between steps and names a reason to
        end early; `save` is called every `checkpoint_every` steps and at the end.
        """
        if self.steps == 0:
            self.preflight()
        clock = CLOCKS[self.settings.clock]
        before, started = self.seconds, clock()
        self._open()
        self.seconds = before + clock() - started
        reason = self.finished()
        while reason is None:
            self._breed()
            batch = self.ask()
            metrics = self.tell(batch, self.judge(batch))
            self.seconds = before + clock() - started
            metrics["seconds"] = self.seconds
            on_step(metrics)
            reason = self.finished() or stop()
            if reason is None and self.steps % self.settings.checkpoint_every == 0:
                save()
        save()
        return self.result(reason)

    def preflight(self) -> None:
        """Call the oracles on known designs, before anything is paid for.

        Raises OracleError where one measures nothing, InputError where it lacks a column that
        the objective asks for.
        """
        self.objective.check(self.meter.preflight(self.task.examples[:2]))

    def ask(self) -> Batch:
        """Return B sampled rows and the proposer's designs; nothing is judged yet."""
        env = self.task.environment
        trajectory = rollout(
            env,
            self.learner.policy,
            self.settings.batch_size,
            self.generator,
            device=self.device,
            temperature=self.settings.temperature,
        )
        actions, given = trajectory.actions.tolist(), trajectory.given  # crosses from the device
        designs = env.decode(actions, **given)
        designs = [*designs, *self._proposals()]
        return Batch(actions, designs, given, trajectory=trajectory)

    def batch(
        self,
        actions: list[list[int]],
        proposed: Sequence[Any] = (),
        given: Mapping[str, Any] | None = None,
    ) -> Batch:
        """Return the batch that given actions make, as the policy sees it now."""
        env, policy, device = self.task.environment, self.learner.policy, self.device
        with torch.no_grad():
            trajectory = replay(env, policy, actions, device=device, **(given or {}))
        actions, given = trajectory.actions.tolist(), trajectory.given
        designs = [*env.decode(actions, **given), *proposed]
        return Batch(actions, designs, given, trajectory=trajectory)

    def judge(self, batch: Asked, *, run: bool = True) -> Scored:
        """Return the batch judged, row by row; `run` False calls no oracle."""
        return self.objective(batch.designs, self.meter, run=run)

    def tell(self, batch: Asked, scored: Scored) -> Metrics:
        """Learn from a judged batch, remember its best, and write the step down.

        Where the policy made nothing of it, it learns from replay alone.
        """
        share = self._remember(batch, scored)
        reward = lowered(self.multipliers.priced(scored), share)
        count = batch.sampled
        learned: dict[str, Any] = {}
        if isinstance(batch, Batch):
            own = self._tensor(reward[:count]), self._tensor(scored.weight[:count])
            learned |= self.learner.update(batch.trajectory, *own)
        learned |= self.rehearsal.imitate(self.learner, self.rng)
        self.multipliers.learn(scored, count)
        self._begin_anew(scored)
        metrics = self._metrics(batch, scored, learned)
        if self.store is not None:
            listed = [*self._bred, *self._listed(batch, scored)]
            self.store.write_step(self.steps, metrics, listed)
        self._bred = []
        self.stale = 0 if scored.fresh.any() else self.stale + 1
        self.steps += 1
        self._check_gradient(metrics)
        return metrics

    def result(self, reason: str) -> Result:
        """Return what was found so far; the recommended design comes first in `best`."""
        return Result(
            reason,
            self.meter.spent,
            self.seconds,
            self.steps,
            ranked(self.task, self.archive)[: self.settings.keep],
            self.archive.front,
            self.multipliers.report(),
            [*self.learner.biased, *self.settings.biased],
            self.learner.memory,
        )

    def state(self) -> dict[str, Any]:
        """Return everything that changes, as tensors and plain data."""
        return {
            "steps": self.steps,
            "seconds": self.seconds,
            "stale": self.stale,
            "skipped": self.skipped,
            "learner": self.learner.state_dict(),
            "generator": self.generator.get_state(),
            "rng": self.rng.bit_generator.state,
            "meter": self.meter.state(),
            "filter": self.filter.state() if self.filter is not None else {},
            "multipliers": self.multipliers.state(),
            "restarts": self.restarts.state(),
            "proposer": memory_of(self.task.proposer),
            "outstanding": self.outstanding.plain(),
        } | self.rehearsal.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a checkpoint; paid evaluations made after it are not paid again."""
        self.steps, self.seconds = int(state["steps"]), float(state["seconds"])
        self.stale, self.skipped = int(state["stale"]), int(state["skipped"])
        self.learner.load_state_dict(state["learner"])
        self.generator.set_state(state["generator"])
        self.rng.bit_generator.state = state["rng"]
        self.meter.restore(state["meter"])
        self.rehearsal.restore(state)
        if self.filter is not None:
            self.filter.restore(state["filter"])
        self.multipliers.restore(state["multipliers"])
        self.restarts.restore(state["restarts"])
        self.outstanding = self._outstanding(**state["outstanding"])
        remind(self.task.proposer, state["proposer"])
        if self.store is not None:
            self.store.rewind(self.steps)

    def _outstanding(
        self, batch: Mapping[str, Any] | None, late: Mapping[str, str], numbered: int
    ) -> Outstanding:
        """Return what `Outstanding.plain` told of, once the policy is what it was."""
        again = None
        if batch is not None:
            proposed = [self.task.parse(text) for text in batch["proposed"]]
            again = self.batch(batch["actions"], proposed, batch["given"])
        designs = {number: self.task.parse(text) for number, text in late.items()}
        return Outstanding(again, designs, int(numbered))

    def _check_gradient(self, metrics: Metrics) -> None:
        """Stop where learning has not moved for `max_skipped` steps; the step is recorded."""
        # what learns from replay alone skips nothing else
        lost = metrics.get("skipped", metrics.get("imitation_skipped", 0.0))
        self.skipped = self.skipped + 1 if lost > 0 else 0
        if self.skipped >= self.settings.max_skipped:
            raise InputError(
                f"the gradient was not finite in the last {self.skipped} steps, which learned "
                "nothing; give the term with the largest values a transform, or lower "
                "learner.lr (campaign.max_skipped says how many steps to wait)"
            )

    # -- the parts of a step -------------------------------------------------------------

    def _open(self) -> None:
        """Judge the designs to begin from, or else let a proposer that begins by itself search,
        before the policy makes its first design.
        """
        if self.steps == 0 and not self.archive.best:
            self._take_in(Asked([], self._proposals()))

    def _breed(self) -> None:
        """Let the proposer make all generations of a step but the last, each of the ones before."""
        for _ in range(self.settings.generations - 1):
            if self.steps == 0 or self.finished():
                return
            self._take_in(Asked([], self._proposals()))

    def _take_in(self, asked: Asked) -> None:
        """Judge what the proposer made, and remember its best."""
        if asked.designs:
            scored = self.judge(asked)
            self._bred += self._listed(asked, scored)
            self._remember(asked, scored, paid=self.steps > 0)

    def _listed(self, asked: Asked, scored: Scored) -> list[DesignRow]:
        """Return rows for the record; cheap designs would make millions that nobody reads."""
        return [] if self.store is None or self.meter.cheap else rows(asked, scored)

    def _remember(self, asked: Asked, scored: Scored, *, paid: bool = True) -> Floats:
        """Tell the proposer what came of its designs, and keep the best of all.

        Returns [N] the share of each reward that the diversity filter leaves to learn from.
        """
        if paid:
            parents = self.elites.best(self.settings.parents)
            least = parents[-1].reward if parents else -np.inf
            pay(self.task.proposer, scored, asked.sampled, least)
        inform(self.task.proposer, scored)
        keep = self.multipliers.keeps(scored)
        share = np.ones(len(scored.reward))
        if self.filter is not None:
            share = self.filter(scored.designs, scored.reward, scored.weight)
        worth = lowered(scored.reward, share)
        self.rehearsal.remember(asked, scored, worth, keep, self.steps, self.meter.spent)
        return share

    def _proposals(self) -> list[Any]:
        """Return what the proposer makes of the elites; before the first, what to begin from."""
        if self.steps == 0 and not self.archive.best and self.task.start:
            return list(self.task.start)
        settings, proposer = self.settings, self.task.proposer
        if proposer is None or not settings.proposals or len(self.elites) < settings.proposals_from:
            return []
        parents = [elite.design for elite in self.elites.best(settings.parents)]
        return proposer(parents, settings.proposals, self.rng)

    def _begin_anew(self, scored: Scored) -> None:
        """Forget what was learned where that got no better for `restart` steps."""
        measured = np.isfinite(scored.merit) & (scored.weight > 0)
        bred = max((elite.reward for elite in self.elites.best(1)), default=-np.inf)
        if self.restarts.due(float(scored.reward[measured].max(initial=bred))):
            self.learner.load_state_dict(self.restarts.anew(self.learner.state_dict()))
            self.rehearsal.forget()

    def _tensor(self, values: Any) -> torch.Tensor:
        return torch.as_tensor(values, dtype=torch.float32).to(self.device)

    def _metrics(self, batch: Asked, scored: Scored, learned: Mapping[str, Any]) -> Metrics:
        best = self.archive.best[0].reward if self.archive.best else float("nan")
        counts = {"step": self.steps, "evaluations": self.meter.spent, "best": best}
        learning = {name: float(value) for name, value in learned.items()}
        told = self.multipliers.metrics() | metrics_of(self.task.proposer) | self.restarts.metrics()
        return counts | figures(batch, scored) | learning | told

    def finished(self) -> str | None:
        """Return which limit is met, None while the search may go on."""
        settings = self.settings
        limits = {
            "budget": self.meter.left == 0,
            "steps": settings.steps is not None and self.steps >= settings.steps,
            "time": settings.time is not None and self.seconds >= settings.time,
            "exhausted": settings.patience > 0 and self.stale >= settings.patience,
            "barren": not self.meter.spent and self.steps * settings.batch_size >= BARREN,
        }
        met = (reason for reason, is_met in limits.items() if is_met)
        return reached(self.task, self.archive, settings.target) or next(met, None)
