"""The design: a chain of A and B residues and its angles, to a billionth of a radian."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from designer.errors import InputError
from designer.protocols import Floats
from tasks.offlattice.energy import MODELS, energy, positions

DIGITS = 9  # decimals of an angle: designs are equal where these are
LONGEST = 200
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


@dataclass(frozen=True)
class Conformation:
    """A chain with its angles, in the first of its mirror images; see `conformation`."""

    sequence: str
    model: str
    angles: tuple[tuple[float, ...], ...]  # [L - 2][K] radians

    @cached_property
    def text(self) -> str:
        """The angles, one word a residue; in space theta/phi, the first residue's theta only."""
        rows = [row if t else row[:1] for t, row in enumerate(self.angles)]
        return " ".join("/".join(f"{angle:.{DIGITS}f}" for angle in row) for row in rows)

    @property
    def key(self) -> str:
        """Model, sequence and angles."""
        return f"{self.model} {self.sequence} {self.text}"

    @property
    def complexity(self) -> int:
        """The number of residues."""
        return len(self.sequence)

    @property
    def array(self) -> Floats:
        """[L - 2, K] the angles."""
        return np.array(self.angles, dtype=np.float64).reshape(len(self.angles), -1)

    @cached_property
    def energy(self) -> float:
        """The energy of the model."""
        return float(energy(torch.from_numpy(self.array), self.sequence, self.model))

    @property
    def coordinates(self) -> Floats:
        """[L, D] where the residues are, in bond lengths."""
        points: Floats = positions(torch.from_numpy(self.array), self.model).numpy()
        return points


def conformations(angles: NDArray[np.float64], sequence: str, model: str) -> list[Conformation]:
    """Return the designs of angles [N, L - 2, K]: wrapped, of one mirror image, rounded."""
    rows = np.round(_canonical(angles, model), DIGITS) + 0.0  # no negative zero
    return [Conformation(sequence, model, tuple(map(tuple, row))) for row in rows.tolist()]


def parse_conformation(text: str, sequence: str, model: str) -> Conformation:
    """Return the conformation with these angles; raises InputError, with the word's place."""
    words, width = text.split(), MODELS[model]
    if len(words) != len(sequence) - 2:
        raise InputError(
            f"{len(words)} angles for {len(sequence)} residues, expected {len(sequence) - 2}: "
            "one word a residue but the first and the last"
        )
    angles = np.zeros((1, len(words), width))
    for place, word in enumerate(words):
        parts = word.split("/")
        wanted = 1 if place == 0 else width
        if len(parts) != wanted or not all(re.fullmatch(_NUMBER, part) for part in parts):
            shape = "one number" if wanted == 1 else "two numbers such as 1.2/-0.4"
            raise InputError(f"angle {place + 1} is {word[:40]!r}, expected {shape} (radians)")
        angles[0, place, :wanted] = [float(part) for part in parts]
    return conformations(angles, sequence, model)[0]


def parse_chain(text: str) -> str:
    """Return a sequence of A and B; "fibonacci 13" names a Fibonacci chain. Raises InputError."""
    sequence = text.strip().upper()
    named = re.fullmatch(r"FIBONACCI[ -]?(\d{1,6})", sequence)
    if named:
        return fibonacci(int(named[1]))
    for place, letter in enumerate(sequence, start=1):
        if letter not in "AB":
            raise InputError(
                f"sequence {text[:40]!r}: letter {letter!r} at position {place}, expected A and B "
                "(A attracts A), or a name such as 'fibonacci 13'"
            )
    if not 3 <= len(sequence) <= LONGEST:
        raise InputError(f"sequence has {len(sequence)} residues, expected 3 to {LONGEST}")
    return sequence


def fibonacci(length: int) -> str:
    """Return the Fibonacci chain of 3, 5, 8, 13, 21 ... residues: S(i+1) = S(i-1) S(i), A, B."""
    first, second = "A", "B"
    while len(second) < length:
        first, second = second, first + second
    if len(second) != length or not 3 <= length <= LONGEST:
        raise InputError(f"no Fibonacci chain has {length} residues; take 5, 8, 13, 21, 34, 55 ...")
    return second


def _canonical(angles: NDArray[np.float64], model: str) -> NDArray[np.float64]:
    """Return one form of all that have the same energy by symmetry, within (-pi, pi]."""
    out = np.array(angles, dtype=np.float64)
    if model != "2d":
        out[:, 0, 1] = 0.0
    if model == "3d-angle":
        for t in range(out.shape[1]):  # theta is at least 0: else turn the frame half around
            out[:, t, 0] = _wrapped(out[:, t, 0])
            negative = out[:, t, 0] < 0
            out[negative, t, 0] *= -1.0
            out[negative, t : t + 2, 1] += math.pi
        out[:, 0, 1] = 0.0
    out = _wrapped(out)
    mirrored = out[:, :, 0] if model == "2d" else out[:, :, 1]
    mirrored *= _first_sign(mirrored)[:, None]
    return out


def _first_sign(values: NDArray[np.float64]) -> NDArray[np.float64]:
    rounded = np.round(values, DIGITS)
    first = np.take_along_axis(rounded, (rounded != 0).argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where(first < 0, -1.0, 1.0)


def _wrapped(values: NDArray[np.float64]) -> NDArray[np.float64]:
    turns = np.where(np.abs(values) > math.pi + 1e-9, np.round(values / (2 * math.pi)), 0.0)
    return values - turns * 2 * math.pi
