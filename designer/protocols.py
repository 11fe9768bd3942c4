"""The seams: what crosses the border between the generator, the tasks and the oracles.

Letters in shapes: B rows of a batch, T steps, A actions, F observed features, N designs.
**B rows go in at the left and B rows come out at the right**: nothing between sampling and
learning filters, sorts or deduplicates rows.

Three absences, never confused:

* *invalid*     the row is not a design at all: `None`. It gets the invalid reward and teaches.
* *unmeasured*  the oracle failed or the budget was spent: NaN. Weight 0 everywhere.
* *bad*         a low number. An infinite one is measured and inadmissible (invalid reward).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from _typeshed import DataclassInstance
    from torch import Tensor

Floats = NDArray[np.float64]
S = TypeVar("S")
R = TypeVar("R", bound="DataclassInstance")
D = TypeVar("D", bound="Design")
D_co = TypeVar("D_co", bound="Design", covariant=True)
D_contra = TypeVar("D_contra", bound="Design", contravariant=True)


@runtime_checkable
class Design(Protocol):
    """A finished thing. Immutable; equal designs have equal keys."""

    @property
    def key(self) -> str:
        """Canonical text; the cache, the memory and the budget know designs by it."""

    @property
    def text(self) -> str:
        """What people read: SMILES, an infix equation, the bond letters of a fold."""

    @property
    def complexity(self) -> int:
        """Size in the task's own unit: heavy atoms, tokens, residues. The Pareto front's axis."""


class Environment(Protocol[S, D_co]):
    """How a design is built, a choice at a time, for B rows at once.

    The object holds settings only; everything that changes is in the state, a frozen record of
    tensors whose first dimension is B. Transitions are deterministic, so the action ids *are*
    the design. At least one action is legal in every row, always: where a construction can get
    stuck, a last action `GIVE_UP` is legal exactly when nothing else is, ends the row, and
    decodes to `None`. Finished rows absorb: exactly one action is legal, and it changes nothing.

    Optional methods, looked for with `getattr`:

    * ``encode(designs, rng) -> list[list[int] | None]``: actions that build each design, without
      padding; `rng` picks another spelling of the same design where there are several;
      ``None`` where the environment cannot build it. `rng` None means the plain spelling.
    * ``guess(designs, rng)``: the same, spellings that the mask may refuse, where checking them
      costs as much as walking them (designs must be told by their text alone).
    * ``potential(state) -> [B] float32``: for potential-based shaping; 0 at reset.
    * ``reward(state, action, next) -> [B] float32``: what a step paid. Without a `potential`, its
      running sum is the potential: each step is credited with what comes after it, and the
      objective stays what it is.
    * ``agent(state) -> [B] int64``: who makes the next choice, where several act in turn.
    * ``num_values``, above 0 where real numbers go with each choice: then `step` takes them as a
      third argument [B, K], and `decode` as ``values=`` [N][T][K]. ``valued(state, action) -> [B]
      bool`` tells where they matter; without it, wherever the row is active.
    * ``start(state) -> [B, S] int64`` where chance comes in: what `reset` drew. Then `reset` takes
      it back as ``start=``, and `decode` as ``start=`` [N][S].

    With `num_values` or `start`, `encode` returns a `Spelling` a design instead of plain actions.
    """

    @property
    def num_actions(self) -> int:
        """A, the number of actions, legal or not."""

    @property
    def max_steps(self) -> int:
        """T, by which every row is done."""

    @property
    def obs_size(self) -> int:
        """F, the number of observed features."""

    def reset(
        self, batch_size: int, device: torch.device, generator: torch.Generator | None = None
    ) -> S:
        """Return the state of B rows before the first choice."""

    def observe(self, state: S, /) -> Tensor:
        """Return [B, F] float32, what the policy sees."""

    def mask(self, state: S, /) -> Tensor:
        """Return [B, A] bool, True where the action is legal."""

    def step(self, state: S, action: Tensor, /) -> S:
        """Return the next state; `action` is [B] int64 and legal. Pure; finished rows absorb."""

    def done(self, state: S, /) -> Tensor:
        """Return [B] bool, True where the row needs no further choice."""

    def decode(self, actions: Sequence[Sequence[int]], /) -> Sequence[D_co | None]:
        """Return one design a row, `None` where the row is not one. Padding is ignored."""


@dataclass(frozen=True)
class Spelling:
    """What builds one design: its actions, and what `decode` and `retrace` need beside them.

    `given` holds "values" [T][K] and "start" [S] where the environment has these, as plain lists.
    """

    actions: Sequence[int]
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Choices:
    """What a policy says at some steps: shapes [B, ..., A], [B, ...] and [B, ..., K]."""

    logits: Tensor  # unmasked preferences [B, ..., A]
    value: Tensor  # expected reward to come [B, ...]
    location: Tensor | None = None  # of the Gaussian values that go with the choice
    scale: Tensor | None = None  # their deviations, above 0


class Policy(Protocol):
    """A network that prefers actions. It is also a `torch.nn.Module`.

    `step` and `unroll` must agree (1e-5): the same observations give the same choices whether
    they come one at a time or all together. Memory is a tensor (or tuple of them) of B rows.
    """

    def start(self, batch_size: int, device: torch.device) -> Any:
        """Return the memory before the first step."""

    def step(self, observation: Tensor, memory: Any, /) -> tuple[Choices, Any]:
        """Return the choices for [B, F] observations, and the memory after them."""

    def unroll(self, observations: Tensor, /) -> Choices:
        """Return the choices for [B, T, F] observations from the start; differentiable."""


class Learns(Protocol):
    """What a campaign asks of a learner. Figures are numbers on the policy's device, by name."""

    @property
    def policy(self) -> Any:
        """The `Policy` that is improved."""

    @property
    def biased(self) -> list[str]:
        """What is biased by design, a line each."""

    @property
    def memory(self) -> str:
        """What running out of memory came to; empty where it never did."""

    def update(self, trajectory: Trajectory, reward: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Learn from B sampled rows; `weight` [B] is 0 where unmeasured."""

    def imitate(self, trajectory: Trajectory, reward: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Make B given rows likelier."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that changes by learning, copied."""

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go back to exactly what `state_dict` returned."""


def rows_of(record: R, index: Tensor | Sequence[int] | slice) -> R:
    """Return a record of [B, ...] tensors with some of its rows; absent fields stay absent."""
    held = {field.name: getattr(record, field.name) for field in fields(record)}
    return replace(record, **{name: v[index] for name, v in held.items() if v is not None})


@dataclass(frozen=True)
class Trajectory:
    """B rows of T choices, with what the policy thought of them. All on one device."""

    observations: Tensor  # [B, T, F] float32
    masks: Tensor  # [B, T, A] bool
    actions: Tensor  # [B, T] int64, padded with the absorbing action
    active: Tensor  # [B, T] bool, True where the row still had a choice to make
    log_prob: Tensor  # [B, T] log-probability of the action; 0 where inactive
    entropy: Tensor  # [B, T] nats; 0 where inactive
    value: Tensor  # [B, T] expected reward to come; 0 where inactive
    prior_log_prob: Tensor | None = None  # [B, T] of a frozen prior, where there is one
    potential: Tensor | None = None  # [B, T + 1], where the environment has one
    group: Tensor | None = None  # [B] int64, rows that share an instance share a baseline
    values: Tensor | None = None  # [B, T, K] real numbers that go with the actions
    valued: Tensor | None = None  # [B, T] bool, True where they matter; log_prob counts them there
    agent: Tensor | None = None  # [B, T] int64, who made the choice
    start: Tensor | None = None  # [B, S] int64, what chance drew before the first choice

    @property
    def given(self) -> dict[str, Any]:
        """Return what goes with the actions on the host, [B] lists each; mostly nothing."""
        held = {"values": self.values, "start": self.start}
        return {name: tensor.tolist() for name, tensor in held.items() if tensor is not None}

    def replace(self, **changes: Any) -> Trajectory:
        """Return a copy with some fields changed."""
        return replace(self, **changes)

    def rows(self, index: Tensor | Sequence[int] | slice) -> Trajectory:
        """Return the rows of `index`, in its order; those of a slice are not copied."""
        return rows_of(self, index)


@dataclass(frozen=True)
class Measured:
    """What an oracle says of N designs: N rows in, N rows out, in order.

    `columns` maps an endpoint's name to raw values [N] float64 in their own unit; NaN where the
    measurement failed. `designs` is None, or the N designs as measuring completed them (an
    expression with its fitted constants): penalties and reports see these.
    `errors` maps a row to the reason it failed, `attempts` to the tries it took where more than 1.
    """

    columns: Mapping[str, Floats]
    designs: Sequence[Any] | None = None
    errors: Mapping[int, str] = field(default_factory=dict)
    attempts: Mapping[int, int] = field(default_factory=dict)


class Oracle(Protocol[D_contra]):
    """Judges designs. A penalty has the same shape, costs nothing, and is subtracted.

    `cheap` oracles are recomputed rather than journalled row by row; the others are paid for,
    and each of their results is committed before anything is learned from it.
    Permuting or splitting the batch changes nothing. A plain array means one column, `name`.
    One that knows its columns beforehand names them all in an attribute `columns`.

    Optional method, looked for with `getattr`: ``stream(designs)`` yields ``(rows, Measured)`` as
    results arrive, in any order, each row once; each is committed before the next is waited for.
    """

    @property
    def name(self) -> str:
        """The column's name where there is one column, and the name used in messages."""

    @property
    def cheap(self) -> bool:
        """True where a call costs less than writing its result down."""

    def __call__(self, designs: Sequence[D_contra], /) -> Measured | Floats:
        """Return raw values, one row a design."""


class Proposer(Protocol[D]):
    """Search in the loop: what a task can do to finished designs (crossover, pull moves, ...).

    One that remembers from call to call has `state()`, plain data for a checkpoint, and
    `restore(state)`; it is a dataclass, so that each campaign has its own.

    Optional methods, looked for with `getattr`:

    * ``hear(designs, rewards)``: what was judged for the first time, sampled designs too.
    * ``pay(payoff)``: of its last proposals, in order, 1 for each that would have been a parent.
    * ``metrics()``: numbers by name, beside those of the step.
    """

    def __call__(self, parents: Sequence[D], count: int, rng: np.random.Generator, /) -> list[D]:
        """Return at most `count` new designs; parents come best first, without duplicates.

        Without parents: none, or where it can begin by itself, what it finds before the policy
        makes its first design.
        """


class Purse(Protocol):
    """What a proposer that judges by itself pays from: its evaluations count too.

    A proposer dataclass with a field `purse` (None by default) gets the campaign's meter there.
    It looks at `left` before it computes, and stops when that is not enough. With a field `policy`
    it gets the campaign's policy there, to draw from it.
    """

    @property
    def left(self) -> int | None:
        """Evaluations left, or None where there is no budget."""

    def spend(self, evaluations: int) -> None:
        """Count evaluations that were made."""


@dataclass(frozen=True)
class Told:
    """What a task makes of a result: records judged anew, and what people and programs get."""

    best: Sequence[Any]  # of Found, the recommended first
    front: Sequence[Any]
    lines: Sequence[str]  # in place of the usual table
    files: Mapping[str, str] = field(default_factory=dict)  # name -> text
    facts: Mapping[str, Any] = field(default_factory=dict)  # more for the JSON object


@dataclass(frozen=True)
class Task:
    """A task tied together: what the command line and the campaign need to know about it.

    `context` holds what the task's own oracles and penalties may ask for by parameter name
    (`data` for an equation fit); `examples` are known designs for an oracle's pre-flight call.
    """

    name: str
    environment: Environment[Any, Any]
    parse: Callable[[str], Any]  # text -> Design; raises InputError
    show: Callable[[Any], str]  # a design as terminal text, several lines
    draw: Callable[[Sequence[Any]], str]  # designs as one SVG document
    proposer: Proposer[Any] | None = None
    bucket: Callable[[Any], str] | None = None  # coarse class, for the diversity filter
    bucket_name: str = ""  # what people call that class; where given, a column of best.csv
    optimal: Callable[[Mapping[str, float]], bool] | None = None  # raw scores prove the optimum
    goal: Callable[[Mapping[str, float]], bool] | None = None  # raw scores are what was asked for
    exports: Callable[[Sequence[Any], Sequence[Any]], Mapping[str, str]] | None = None
    # designs and what was found of each -> files, by name
    recommend: Callable[[Sequence[Any]], Any] | None = None  # front of Found -> the one to report
    tell: Callable[[Sequence[Any], Sequence[Any]], Told] | None = None  # best and front of Found
    examples: Sequence[Any] = ()
    start: Sequence[Any] = ()  # designs to begin from: judged with the first batch, and counted
    context: Mapping[str, Any] = field(default_factory=dict)
    symbols: Mapping[str, str] = field(default_factory=dict)  # stand-in -> column name
    notes: Sequence[str] = ()  # what people should know before the search: a line each


@dataclass(frozen=True)
class Scored:
    """B judged rows, in order: what the learner needs, and what the record keeps."""

    designs: Sequence[Any]  # [B] completed design, or None where invalid
    columns: Mapping[str, Floats]  # raw values [B] of oracles and penalties, NaN = unmeasured
    reward: Floats  # [B] finite; meaningless where weight is 0
    merit: Floats  # [B] reward before penalties; finite exactly where measured and admissible
    weight: Floats  # [B] 1, or 0 where unmeasured
    fresh: NDArray[np.bool_]  # [B] True where this row's design was measured for the first time
    errors: Mapping[int, str] = field(default_factory=dict)  # row -> why it is unmeasured
    exhausted: bool = False  # the budget ended inside this batch
