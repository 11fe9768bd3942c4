"""Teaching a policy known designs by maximum likelihood: how a prior is made.

The loss is the mean negative log-probability of an action, in nats, without the mask: a prior
that is right by itself is worth more than one the mask must hold. With `legality` above 0 the
semantic loss of the mask is added, -log of the probability that a legal action is drawn (Xu et
al., ICML 2018): each step then tells of every illegal action, not of the one taken alone. The run
depends on its seed alone; the clock can only end it. What changes is in `state`, so it can be
continued exactly.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from designer.corpus import Known
from designer.descent import advance
from designer.errors import InputError


@dataclass(frozen=True)
class Lessons:
    """How long and how fast to teach."""

    epochs: float = 10  # passes over the rows; 0.1 is a tenth of one
    batch_size: int = 256
    lr: float = 1e-3  # at first; falls to 0 along a cosine over all epochs
    max_grad_norm: float = 1.0
    check_every: int = 500  # minibatches between looks at the held-out rows
    patience: int = 5  # looks in a row without improvement that end the training
    seed: int = 0
    legality: float = 0.0  # weight of the semantic loss; the corpus must tell what was legal

    def __post_init__(self) -> None:
        if not self.epochs > 0:
            raise InputError(f"epochs is {self.epochs}, expected above 0")
        for name in ("batch_size", "check_every", "patience"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, expected at least 1")
        if not (0 < self.lr <= 1 and self.max_grad_norm > 0):
            raise InputError(f"lr is {self.lr}, max_grad_norm {self.max_grad_norm}: above 0 each")
        if not self.legality >= 0:
            raise InputError(f"legality is {self.legality}, expected 0 or more")


@dataclass(frozen=True)
class Look:
    """What a look at the held-out rows saw."""

    step: int  # minibatches taught
    epoch: float  # passes over the rows
    loss: float  # nats an action, mean since the last look
    held_out: float  # nats an action
    per_design: float  # nats a design, held out
    rows_per_second: float  # taught since the last look
    seconds: float  # of training in all


class Rows(Protocol):
    """Known designs in minibatches: what a `Corpus` offers."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def batches(self, size: int) -> int:
        """Return how many minibatches an epoch has."""

    def epoch(self, size: int, seed: Sequence[int] | None, skip: int = 0) -> Iterator[Known]:
        """Yield every row once, in an order that depends on `seed` alone."""


class Teacher:
    """One training of one policy; `run` goes on until it is done or told to stop."""

    def __init__(self, policy: nn.Module, corpus: Rows, held_out: Rows, lessons: Lessons) -> None:
        if not len(corpus) or not len(held_out):
            raise InputError("there is nothing to teach, or nothing held out to judge it by")
        self.policy, self.corpus, self.held_out, self.lessons = policy, corpus, held_out, lessons
        self.optimiser = torch.optim.Adam(policy.parameters(), lr=lessons.lr)
        self.step, self.waited, self.seconds = 0, 0, 0.0
        self.best, self.best_weights = math.inf, _copied(policy)

    @property
    def steps(self) -> int:
        """Minibatches in all epochs."""
        return max(1, round(self.lessons.epochs * self.corpus.batches(self.lessons.batch_size)))

    @property
    def finished(self) -> bool:
        """Whether all is taught, or the held-out rows improve no more."""
        return self.step >= self.steps or self.waited >= self.lessons.patience

    def run(
        self,
        on_look: Callable[[Look], None] = lambda look: None,
        on_step: Callable[[int, float], None] = lambda step, loss: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Teach, and return whether it is finished; `stop` is asked after each minibatch."""
        size = self.lessons.batch_size
        per_epoch = self.corpus.batches(size)
        losses, rows, started = [], 0, time.monotonic()
        since = started
        while not self.finished:
            epoch, done = divmod(self.step, per_epoch)
            for known in self.corpus.epoch(size, (self.lessons.seed, epoch), done):
                losses.append(self._teach(known))
                rows += len(known.actions)
                self.step += 1
                halt = stop()
                on_step(self.step, losses[-1])
                if self.step % self.lessons.check_every == 0 or self.step == self.steps:
                    now = time.monotonic()
                    self.seconds += now - since
                    speed, since = rows / (now - started), now
                    look = self.look(sum(losses) / len(losses), speed)
                    losses, rows, started = [], 0, time.monotonic()
                    on_look(look)
                if halt:
                    self.seconds += time.monotonic() - since
                    return self.finished
                if self.finished:
                    break
        return True

    def look(self, loss: float, speed: float) -> Look:
        """Judge the held-out rows, and keep these weights if they are the best so far."""
        held_out, per_design = self.judged()
        if held_out < self.best:
            self.best, self.best_weights, self.waited = held_out, _copied(self.policy), 0
        else:
            self.waited += 1
        epoch = self.step / self.corpus.batches(self.lessons.batch_size)
        return Look(self.step, epoch, loss, held_out, per_design, speed, self.seconds)

    @torch.no_grad()
    def judged(self) -> tuple[float, float]:
        """Return nats an action and nats a design of the held-out rows."""
        total = actions = 0.0
        for known in self.held_out.epoch(self.lessons.batch_size, None):
            total += float(_surprise(self.policy, known).sum())
            actions += float(known.active.sum())
        return total / actions, total / len(self.held_out)

    def state(self) -> dict[str, Any]:
        """Return everything that changes."""
        return {
            "policy": _copied(self.policy), "optimiser": self.optimiser.state_dict(),
            "step": self.step, "waited": self.waited, "seconds": self.seconds,
            "best": self.best, "best_weights": self.best_weights,
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to what `state` returned."""
        self.policy.load_state_dict(state["policy"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.waited = int(state["step"]), int(state["waited"])
        self.seconds, self.best = float(state["seconds"]), float(state["best"])
        self.best_weights = dict(state["best_weights"])

    def _teach(self, known: Known) -> float:
        fall = 0.5 * (1.0 + math.cos(math.pi * self.step / self.steps))
        for group in self.optimiser.param_groups:
            group["lr"] = self.lessons.lr * fall
        loss = _surprise(self.policy, known, self.lessons.legality).sum() / known.active.sum()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        advance(self.optimiser, self.lessons.max_grad_norm, known.active)
        return float(loss.detach())


def _surprise(policy: Any, known: Known, legality: float = 0.0) -> Tensor:
    """Return [B, T] nats of each action, 0 where the row is over; see `Lessons.legality`."""
    each = torch.log_softmax(policy.unroll(known.observations).logits, -1)
    nats = -each.gather(2, known.actions.unsqueeze(2)).squeeze(2)
    if legality:
        if known.legal is None:
            raise InputError("legality needs a corpus that tells what was legal (`masked`)")
        nats = nats - legality * each.masked_fill(~known.legal, -torch.inf).logsumexp(2)
    return torch.where(known.active, nats, 0.0)


def _copied(policy: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in policy.state_dict().items()}
