"""Molecules token by token: SMILES under a mask that keeps every finished string valid.

The mask follows the text as a parser would: a stack of branches, the valence each atom has
left, and open ring numbers with the atoms that hold them. Three things make it exact:

* **Depth-first spellings.** A ring number is closed at a descendant of the atom that opened it,
  as in every SMILES that RDKit writes, so all that is unfinished lies on the way from the first
  atom to the current one. When a branch is left, everything in it is finished.
* **Aromatic bonds lie on aromatic rings.** An aromatic atom and its bond to the previous one are
  *uncovered* until a ring closes around them; they may not be left behind uncovered.
* **Kekule forms are carried along.** `tasks.molecules.kekule` keeps the family of all sets of
  still open aromatic atoms that a choice of double bonds can serve. An action that would empty
  the family is illegal, so END is legal only where a Kekule form exists.

Near the end of the length or the atoms allowed, only actions that finish what is open are
legal. Should nothing be legal (a spelling the plan did not foresee), GIVE_UP ends the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from designer.errors import InputError
from tasks.molecules import kekule
from tasks.molecules.bits import MOST
from tasks.molecules.design import Molecule
from tasks.molecules.tokens import BONDS, DEFAULT_VOCABULARY, atom_of, check_vocabulary, kind_of

NEVER = -1
ATOM, DIGITS, OPENED, CLOSED, ROOT, BOND = range(6)  # what was written last, as far as it matters
RING_DIGITS = 9  # of ring numbers open at once


@dataclass(frozen=True)
class Strings:
    """B unfinished SMILES with at most N atoms, R ring numbers and K open aromatic atoms.

    Sets of atoms are bits of an int64 (see `tasks.molecules.bits`).
    """

    last: Tensor  # [B] int64, the last action
    length: Tensor  # [B] int64, tokens so far
    ended: Tensor  # [B] bool, END or GIVE_UP was taken
    mode: Tensor  # [B] int64, one of ATOM ... BOND: what was written last
    fresh: Tensor  # [B] bool, ring numbers may still be written at the current atom
    count: Tensor  # [B] int64, atoms so far
    here: Tensor  # [B] int64, the current atom
    bare: Tensor  # [B] set of aromatic atoms not yet covered by a ring
    first: Tensor  # [B] set of first atoms of aromatic parts
    held: Tensor  # [B] set of atoms that hold an open ring number
    branched: Tensor  # [B] set of atoms with an open branch
    bonded: Tensor  # [B] set of atoms the current one is bonded to, itself included
    stray: Tensor  # [B] int64, an aromatic part that was left and must be joined again, or NEVER
    token: Tensor  # [B, N] int64, which token each atom is
    used: Tensor  # [B, N] int64, bond orders in use, open ring numbers counted as 1
    double: Tensor  # [B, N] bool, an aromatic atom with a double bond out of its ring
    opened: Tensor  # [B, N] int64, open ring numbers it holds
    part: Tensor  # [B, N] int64, first atom of its aromatic part; NEVER for other atoms
    members: Tensor  # [B, N] set of atoms of the part that begins with this one
    slot: Tensor  # [B, N] int64, place in the family; K for none
    ring: Tensor  # [B, R] int64, atom that holds each ring number; NEVER where it is free
    family: Tensor  # [B, 2^K] bool, see `tasks.molecules.kekule`


@dataclass(frozen=True)
class Smiles:
    """SMILES of one fragment within `max_length` tokens and `max_atoms` atoms.

    `vocabulary` are the tokens (those no SMILES can do without are added). Actions 0 to V - 1
    are the tokens, then END, then GIVE_UP. `min_atoms` atoms are written at least.
    """

    max_length: int = 100
    max_atoms: int = 50
    min_atoms: int = 1
    vocabulary: Sequence[str] = DEFAULT_VOCABULARY

    def __post_init__(self) -> None:
        object.__setattr__(self, "vocabulary", check_vocabulary(self.vocabulary))
        if not 1 <= self.min_atoms <= self.max_atoms <= MOST or self.max_atoms < 8:
            raise InputError(
                f"min_atoms {self.min_atoms}, max_atoms {self.max_atoms}: expected "
                f"1 <= min_atoms <= max_atoms and 8 <= max_atoms <= {MOST}"
            )
        if self.max_length < 24:
            raise InputError(f"max_length {self.max_length}: expected 24 tokens or more")

    @property
    def end(self) -> int:
        """The END action."""
        return len(self.vocabulary)

    @property
    def num_actions(self) -> int:
        """A = V + 2: the tokens, END and GIVE_UP."""
        return len(self.vocabulary) + 2

    @property
    def max_steps(self) -> int:
        """T: the tokens and END."""
        return self.max_length + 1

    @property
    def obs_size(self) -> int:
        """F: see `observe`."""
        from tasks.molecules.observing import DENSE

        return self.num_actions + DENSE

    def reset(
        self, batch_size: int, device: torch.device, generator: torch.Generator | None = None
    ) -> Strings:
        """Return B empty strings."""
        B, N = batch_size, self.max_atoms
        zero = torch.zeros(B, dtype=torch.int64, device=device)
        zeros = torch.zeros(B, N, dtype=torch.int64, device=device)
        return Strings(
            last=zero + self.end, length=zero, ended=zero.bool(), mode=zero + OPENED,
            fresh=zero.bool(), count=zero, here=zero, bare=zero, first=zero, held=zero,
            branched=zero, bonded=zero, stray=zero + NEVER, token=zeros, used=zeros,
            double=zeros.bool(), opened=zeros, part=zeros + NEVER, members=zeros,
            slot=zeros + kekule.PLACES, family=kekule.empty(B, device),
            ring=torch.full((B, RING_DIGITS), NEVER, device=device),
        )  # fmt: skip

    def done(self, state: Strings, /) -> Tensor:
        """Return [B] bool: END or GIVE_UP was taken."""
        return state.ended

    def observe(self, state: Strings, /) -> Tensor:
        """Return [B, F] float32, 0 or more: see `tasks.molecules.observing`."""
        from tasks.molecules.observing import observe

        return observe(self, state)

    def mask(self, state: Strings, /) -> Tensor:
        """Return [B, A] bool; END alone is legal in finished rows."""
        from tasks.molecules.grammar import legal

        return legal(self, state)

    def step(self, state: Strings, action: Tensor, /) -> Strings:
        """Return the strings one token on."""
        from tasks.molecules.writing import advance

        return advance(self, state, action)

    def decode(self, actions: Sequence[Sequence[int]], /) -> list[Molecule | None]:
        """Return a molecule a row; `None` where GIVE_UP was taken, or RDKit rejects the text."""
        from tasks.molecules import spelling

        return spelling.build(self, actions)

    def encode(
        self, designs: Sequence[Molecule], rng: np.random.Generator | None = None
    ) -> list[list[int] | None]:
        """Return actions that write each molecule, as canonical SMILES or, with `rng`, another.

        `None` where it is too large, or has tokens that are not in the vocabulary.
        """
        from tasks.molecules import spelling

        return spelling.spell(self, designs, rng)

    def guess(
        self, designs: Sequence[Molecule], rng: np.random.Generator | None
    ) -> list[list[int] | None]:
        """Return the canonical or, with `rng`, a random spelling of each molecule, unchecked."""
        from tasks.molecules import spelling

        return spelling.guess(self, designs, rng)


@dataclass(frozen=True)
class Tables:
    """The vocabulary as tensors on one device; V tokens, the last row of each is a dummy."""

    kind: Tensor  # [V] int64: 0 atom, 1 bond, 2 ring, 3 open, 4 close
    free: Tensor  # [V] int64, bond orders an atom offers, the double bond of its ring included
    rests: Tensor  # [V, 8] bool, may end with bond orders summing to k
    aromatic: Tensor  # [V] bool
    need: Tensor  # [V] bool, aromatic, needs a double bond unless it has one out of the ring
    n_like: Tensor  # [V] bool, needs one with two neighbours and none with three
    third: Tensor  # [V] bool, aromatic, must have a bond out of its ring: [n+]
    order: Tensor  # [V] int64, of a bond token
    digit: Tensor  # [V] int64, which ring number
    directed: Tensor  # [V] bool, is "/" or "\\"
    dash: Tensor  # [V] bool, is "-"; and so on
    equals: Tensor
    triple: Tensor
    is_carbon: Tensor
    is_aromatic_carbon: Tensor


@lru_cache(maxsize=32)
def tables(env: Smiles, device: torch.device) -> Tables:
    """Return the vocabulary as tensors on a device."""
    words = tuple(env.vocabulary)
    atoms = [atom_of(word) if kind_of(word) == "atom" else None for word in words]
    digits = sorted((w for w in words if kind_of(w) == "ring"), key=lambda w: int(w.strip("%")))
    kinds = [("atom", "bond", "ring", "open", "close").index(kind_of(word)) for word in words]
    rests = [
        [k < len(atom.rests) and atom.rests[k] for k in range(8)] if atom else [False] * 8
        for atom in atoms
    ]

    def column(values: list[int] | list[bool]) -> Tensor:
        return torch.tensor(values, device=device)

    return Tables(
        kind=column(kinds),
        free=column([atom.free if atom else 0 for atom in atoms]),
        rests=torch.tensor(rests, device=device),
        aromatic=column([bool(atom and atom.aromatic) for atom in atoms]),
        need=column([bool(atom and atom.pi == "pi") for atom in atoms]),
        n_like=column([bool(atom and atom.pi == "n") for atom in atoms]),
        third=column([bool(atom and atom.aromatic and not atom.rests[2]) for atom in atoms]),
        order=column([BONDS.get(word, 0) for word in words]),
        digit=column([digits.index(word) if word in digits else 0 for word in words]),
        directed=column([word in ("/", "\\") for word in words]),
        dash=column([word == "-" for word in words]),
        equals=column([word == "=" for word in words]),
        triple=column([word == "#" for word in words]),
        is_carbon=column([word == "C" for word in words]),
        is_aromatic_carbon=column([word == "c" for word in words]),
    )


def at(values: Tensor, index: Tensor) -> Tensor:
    """Return [B] the value of each row at its index (0 where the index is NEVER)."""
    return values.gather(1, index.clamp(min=0).unsqueeze(1)).squeeze(1)
