"""A ready-made environment for anything written as tokens: peptides, alloys, words, recipes.

    env = Sequences(vocabulary="ACDEFGHIKLMNPQRSTVWY", max_length=12, min_length=4)

A row grows by one token a step until it takes the END action (legal from `min_length` on) or
holds `max_length` tokens. With `show`, `draw` and `Edits` it makes a complete task:

    Task("peptides", env, parse=env.parse, show=show, draw=draw, proposer=Edits(env))
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from designer.errors import InputError, nearest


@dataclass(frozen=True)
class TokenDesign:
    """A finished sequence of tokens; its text is its key."""

    tokens: tuple[str, ...]
    text: str

    @property
    def key(self) -> str:
        """The text: equal texts are equal designs."""
        return self.text

    @property
    def complexity(self) -> int:
        """The number of tokens."""
        return len(self.tokens)


@dataclass(frozen=True)
class Written:
    """How far B rows have been written."""

    last: Tensor  # [B] int64, the last action; END before the first
    length: Tensor  # [B] int64, tokens so far
    ended: Tensor  # [B] bool, True after END


@dataclass(frozen=True)
class Sequences:
    """All sequences of `min_length` to `max_length` tokens, none of them with a forbidden pair.

    `separator` stands between tokens in the text. `forbidden` names pairs of tokens that may not
    follow each other. Actions 0 to V - 1 are the tokens in the order given; END is action V.
    """

    vocabulary: Sequence[str]
    max_length: int
    min_length: int = 1
    separator: str = ""
    forbidden: Sequence[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "vocabulary", tuple(self.vocabulary))
        object.__setattr__(self, "forbidden", tuple((a, b) for a, b in self.forbidden))
        _check_settings(self)

    @property
    def num_actions(self) -> int:
        """A = V + 1: the tokens and END."""
        return len(self.vocabulary) + 1

    @property
    def max_steps(self) -> int:
        """T = max_length: the last token ends the row by itself."""
        return self.max_length

    @property
    def obs_size(self) -> int:
        """F = A + 1: the last action, one-hot, and the share of `max_length` written."""
        return self.num_actions + 1

    def reset(
        self, batch_size: int, device: torch.device, generator: torch.Generator | None = None
    ) -> Written:
        """Return B empty rows."""
        start = torch.full((batch_size,), len(self.vocabulary), device=device)
        return Written(start, torch.zeros_like(start), torch.zeros_like(start, dtype=torch.bool))

    def observe(self, state: Written, /) -> Tensor:
        """Return [B, F] float32 in [0, 1]."""
        seen = _one_hot(self.num_actions, state.last.device).index_select(0, state.last)
        seen[:, -1] = state.length / self.max_length
        return seen

    def mask(self, state: Written, /) -> Tensor:
        """Return [B, A] bool; END alone is legal in finished rows."""
        done = self.done(state)
        rows = torch.where(done, self.num_actions, state.last)
        legal = _followers(self, state.last.device).index_select(0, rows)
        legal[:, -1] = done | (state.length >= self.min_length)
        return legal

    def step(self, state: Written, action: Tensor, /) -> Written:
        """Return the rows one action on."""
        done, end = self.done(state), action == len(self.vocabulary)
        return Written(
            last=torch.where(done, state.last, action),
            length=state.length + ~(done | end),
            ended=state.ended | end,
        )

    def done(self, state: Written, /) -> Tensor:
        """Return [B] bool: END was taken, or the row is full."""
        return state.ended | (state.length >= self.max_length)

    def observe_relaxed(
        self, step: int, last: Tensor | None, batch_size: int, device: torch.device
    ) -> Tensor:
        """Return [B, F], what is seen after relaxed choices [B, A] (None before the first).

        The same as `observe` where the choices are one-hot; differentiable in them.
        """
        if last is None:
            last = _one_hot(self.num_actions, device)[-1:, :-1].expand(batch_size, -1)
        return torch.cat([last, torch.full_like(last[:, :1], step / self.max_length)], dim=1)

    def relaxable(self) -> str:
        """Return why designs cannot be read as probabilities; empty where they can."""
        if self.min_length < self.max_length:
            return f"writes {self.min_length} to {self.max_length} tokens"
        return "forbids pairs of tokens" if self.forbidden else ""

    def decode(self, actions: Sequence[Sequence[int]], /) -> list[TokenDesign | None]:
        """Return a design a row; `None` for a row that ends neither by END nor by its length."""
        return [self._design(row) for row in actions]

    def encode(
        self, designs: Sequence[TokenDesign], rng: np.random.Generator | None = None
    ) -> list[list[int] | None]:
        """Return the actions that write each design; `None` where these settings forbid it."""
        known = {token: index for index, token in enumerate(self.vocabulary)}
        return [self._actions(design.tokens, known) for design in designs]

    def parse(self, text: str) -> TokenDesign:
        """Return the design that `text` spells; raises InputError with the position of a fault."""
        tokens = self._tokens(text.strip())
        design = TokenDesign(tokens, self.separator.join(tokens))
        if self.encode([design]) == [None]:
            raise InputError(
                f"{text!r} has {len(tokens)} tokens or a forbidden pair; expected "
                f"{self.min_length} to {self.max_length} tokens, without {list(self.forbidden)}"
            )
        return design

    def _design(self, row: Sequence[int]) -> TokenDesign | None:
        end = len(self.vocabulary)
        ids = list(row[: self.max_length])
        length = ids.index(end) if end in ids else len(ids)
        if length < self.min_length or (length == len(ids) < self.max_length):
            return None
        tokens = tuple(self.vocabulary[i] for i in ids[:length])
        return TokenDesign(tokens, self.separator.join(tokens))

    def _actions(self, tokens: tuple[str, ...], known: dict[str, int]) -> list[int] | None:
        fits = self.min_length <= len(tokens) <= self.max_length
        pairs = set(pairwise(tokens))
        if not fits or not known.keys() >= set(tokens) or pairs & set(self.forbidden):
            return None
        ends = [len(self.vocabulary)] if len(tokens) < self.max_length else []
        return [known[token] for token in tokens] + ends

    def _tokens(self, text: str) -> tuple[str, ...]:
        pieces = text.split(self.separator) if self.separator else _pieces(self.vocabulary, text)
        for index, piece in enumerate(pieces, start=1):
            if piece not in self.vocabulary:
                hint = nearest(piece, self.vocabulary)
                raise InputError(f"{text!r}: token {index} is {piece!r}, unknown; {hint}")
        return tuple(pieces)


@dataclass(frozen=True)
class Edits:
    """A proposer for `Sequences`: crossover of two parents, then one random edit.

    An edit substitutes, inserts or deletes one token, or swaps two. Children that the
    environment forbids are dropped, so fewer than `count` may come back.
    """

    environment: Sequences
    crossover: float = 0.5

    def __call__(
        self, parents: Sequence[TokenDesign], count: int, rng: np.random.Generator, /
    ) -> list[TokenDesign]:
        """Return at most `count` legal children."""
        if not parents:
            return []
        env = self.environment
        bred = [self._child(parents, rng) for _ in range(count)]
        children = [TokenDesign(tokens, env.separator.join(tokens)) for tokens in bred]
        rows = env.encode(children)
        return [child for child, row in zip(children, rows, strict=True) if row is not None]

    def _child(self, parents: Sequence[TokenDesign], rng: np.random.Generator) -> tuple[str, ...]:
        tokens = list(parents[int(rng.integers(len(parents)))].tokens)
        if rng.random() < self.crossover:
            other = parents[int(rng.integers(len(parents)))].tokens
            cut = int(rng.integers(len(tokens) + 1))
            tokens = tokens[:cut] + list(other[cut:])
        vocabulary = self.environment.vocabulary
        letter = vocabulary[int(rng.integers(len(vocabulary)))]
        at, kind = int(rng.integers(len(tokens) + 1)), int(rng.integers(4))
        if kind == 0:
            tokens[at : at + 1] = [letter]
        elif kind == 1:
            tokens[at:at] = [letter]
        elif kind == 2:
            tokens[at : at + 1] = []
        elif tokens:
            i, j = rng.integers(len(tokens), size=2)
            tokens[i], tokens[j] = tokens[j], tokens[i]
        return tuple(tokens)


def show(design: TokenDesign) -> str:
    """Return the design for the terminal."""
    return f"{design.text}\n({design.complexity} tokens)"


def draw(designs: Sequence[TokenDesign]) -> str:
    """Return the designs as one SVG document, a line each."""
    width = 40 + 10 * max((len(d.text) for d in designs), default=0)
    style = 'font-family="monospace" font-size="16"'
    lines = [
        f'<text x="20" y="{24 * row}" {style}>{escape(d.text)}</text>'
        for row, d in enumerate(designs, start=1)
    ]
    size = f'width="{width}" height="{24 * len(designs) + 20}"'
    paper = '<rect width="100%" height="100%" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{paper}{"".join(lines)}</svg>'


def _check_settings(env: Sequences) -> None:
    words = env.vocabulary
    if not words or len(set(words)) != len(words) or "" in words:
        raise InputError(f"vocabulary {list(words)!r}: expected distinct, non-empty tokens")
    if not 1 <= env.min_length <= env.max_length:
        found = f"min_length {env.min_length}, max_length {env.max_length}"
        raise InputError(f"{found}: expected 1 <= min_length <= max_length")
    for word in {word for pair in env.forbidden for word in pair} - set(words):
        raise InputError(f"forbidden names {word!r}, not a token; {nearest(word, words)}")
    stuck = [w for w in words if all((w, other) in env.forbidden for other in words)]
    if stuck and env.min_length > 1:
        raise InputError(
            f"nothing may follow {stuck[0]!r}, but rows need {env.min_length} tokens: "
            "allow one of its pairs, or set min_length = 1"
        )


def _pieces(vocabulary: Sequence[str], text: str) -> list[str]:
    words = sorted(vocabulary, key=len, reverse=True)
    return re.findall("|".join(map(re.escape, words)) + "|.", text, flags=re.DOTALL)


@lru_cache(maxsize=64)
def _one_hot(num_actions: int, device: torch.device) -> Tensor:
    return torch.eye(num_actions, num_actions + 1, device=device)


@lru_cache(maxsize=64)
def _followers(env: Sequences, device: torch.device) -> Tensor:
    """Return [A + 1, A] bool: which action may follow which.

    Row V is the start, where anything may follow; the last row is for finished rows: nothing.
    """
    table = torch.ones(env.num_actions + 1, env.num_actions, dtype=torch.bool)
    table[-1] = False
    index = {token: i for i, token in enumerate(env.vocabulary)}
    for first, second in env.forbidden:
        table[index[first], index[second]] = False
    return table.to(device)
