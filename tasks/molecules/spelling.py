"""Between the actions of the SMILES environment and molecules, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from designer.errors import InputError
from tasks.molecules.design import Molecule, from_mol
from tasks.molecules.legality import legal_rows
from tasks.molecules.tokens import BONDS, tokenize

if TYPE_CHECKING:
    from tasks.molecules.smiles import Smiles

TRIES = 5  # spellings tried before a molecule counts as impossible


def build(env: Smiles, actions: Sequence[Sequence[int]]) -> list[Molecule | None]:
    """Return the molecule of each row, None without END or where RDKit rejects the text."""
    from rdkit import Chem, rdBase

    found: list[Molecule | None] = []
    with rdBase.BlockLogs():
        for row in actions:
            text = text_of(env, row)
            mol = None if text is None else Chem.MolFromSmiles(text)
            if mol is None or not mol.GetNumAtoms():
                found.append(None)
                continue
            design = from_mol(mol)
            if design is not None:
                design.__dict__["written"] = text  # what `spell` falls back to
            found.append(design)
    return found


def text_of(env: Smiles, row: Sequence[int]) -> str | None:
    """Return the SMILES that a row writes, None without END."""
    words: list[str] = []
    for action in row:
        if action >= env.end:
            return "".join(words) if action == env.end and words else None
        words.append(env.vocabulary[action])
    return None


def spell(
    env: Smiles, designs: Sequence[Molecule], rng: np.random.Generator | None
) -> list[list[int] | None]:
    """Return actions that write each molecule, None where no spelling passes the mask.

    First the canonical spelling, or with `rng` a random one; for those that do not pass, random
    ones and the one it was decoded from, since close to the limits the mask may allow no other.
    """
    known = {word: index for index, word in enumerate(env.vocabulary)}
    rows: list[list[int] | None] = [None] * len(designs)
    random = np.random.default_rng(0) if rng is None else rng
    waiting = list(range(len(designs)))
    for attempts in ((0,), range(1, TRIES)):
        pairs = [(i, attempt) for attempt in attempts for i in waiting]
        tried = [_row(env, _spelling(designs[i], rng, random, k), known) for i, k in pairs]
        passed = legal_rows(env, tried) if tried else []
        for (i, _), row, ok in zip(pairs, tried, passed, strict=True):
            rows[i] = row if ok and rows[i] is None else rows[i]
        waiting = [i for i in waiting if rows[i] is None]
    return rows


def guess(
    env: Smiles, designs: Sequence[Molecule], rng: np.random.Generator | None
) -> list[list[int] | None]:
    """Return a random spelling of each molecule (without `rng` the canonical one), which the
    mask may refuse; None where a token is unknown or there are too many."""
    known = {word: index for index, word in enumerate(env.vocabulary)}
    texts = [design.smiles if rng is None else _random(design, rng) for design in designs]
    rows = [_row(env, text, known) for text in texts]
    return [row if row[0] >= 0 else None for row in rows]


def _spelling(
    design: Molecule, rng: np.random.Generator | None, random: np.random.Generator, attempt: int
) -> str:
    if rng is None and attempt == 0:
        return design.smiles
    if attempt == TRIES - 1:
        return str(design.__dict__.get("written", design.smiles))
    return _random(design, random)


def _random(design: Molecule, rng: np.random.Generator) -> str:
    from rdkit import Chem

    seed = int(rng.integers(2**31 - 1))
    return str(Chem.MolToRandomSmilesVect(design.mol, 1, seed)[0])


def _row(env: Smiles, smiles: str, known: dict[str, int]) -> list[int]:
    """Return the actions of a spelling; [-1] where a token is unknown or it is too long."""
    try:
        words = renumbered(tokenize(smiles))
    except InputError:
        return [-1]
    ids = [known.get(word, -1) for word in words]
    return [*ids, env.end] if len(ids) <= env.max_length and min(ids) >= 0 else [-1]


def renumbered(words: Sequence[str]) -> list[str]:
    """Return the tokens with ring numbers chosen as the mask does: the lowest free one opens.

    A bond symbol at the opening of a ring number moves to where it closes, and a ring bond with
    a direction (`/`) keeps it only there, mirrored as it is read from the other side.
    """
    out: list[str] = []
    held: dict[str, tuple[str, str]] = {}  # number in the text -> (our number, bond symbol)
    for word in words:
        if not (word.isdigit() or word[0] == "%"):
            out.append(word)
            continue
        symbol = out.pop() if out and out[-1] in BONDS else ""
        if word in held:
            number, before = held.pop(word)
            symbol = symbol or {"/": "\\", "\\": "/"}.get(before, before)
            out += [symbol, number] if symbol else [number]
        else:
            taken = {number for number, _ in held.values()}
            number = next(_number(k) for k in range(1, 100) if _number(k) not in taken)
            held[word] = (number, symbol)
            out.append(number)
    return out


def _number(k: int) -> str:
    return str(k) if k < 10 else f"%{k}"
