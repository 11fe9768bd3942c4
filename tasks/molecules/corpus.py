"""A file of SMILES becomes rows of actions: what a prior is taught.

One molecule a line, a name may follow after a blank; `.gz` is read as well. Lines that cannot
be taught are left out and told of, with their number and the reason; `strict` raises at the first.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from designer.errors import InputError
from designer.files import digest
from tasks.molecules.spelling import renumbered
from tasks.molecules.tokens import check_vocabulary, kind_of, tokenize

MAX_BYTES = 1 << 32  # of a file
DATASETS = ("moses",)
TABLES = {".csv", ".tsv"}


@dataclass(frozen=True)
class Molecules:
    """What a file holds, cut into tokens; `keys` are hashes of the canonical texts."""

    name: str
    digest: str  # SHA-256 of the file
    words: list[list[str]]
    keys: NDArray[np.int64]
    left_out: Counter[str] = field(default_factory=Counter)  # reason -> lines

    def __len__(self) -> int:
        return len(self.words)


def source(path: Path | None, dataset: str | None) -> Path:
    """Return the file to read: the given one, or the one of an installed data set."""
    if (path is None) == (dataset is None):
        raise InputError("give either a file of SMILES or --dataset moses")
    if path is not None:
        if not path.is_file():
            what = "is no file" if path.exists() else "no such file"
            raise InputError(f"{path}: {what}; expected one SMILES a line")
        return path
    if dataset not in DATASETS:
        raise InputError(f"unknown data set {dataset!r}; expected {' or '.join(DATASETS)}")
    spec = find_spec("moses")
    places = spec.submodule_search_locations if spec is not None else None
    file = Path(next(iter(places or ["moses"]))) / "dataset" / "data" / "train.csv.gz"
    if not file.is_file():
        raise InputError(
            "--dataset moses reads the training set of the package molsets, which is not there; "
            "install it with: pip install --no-deps molsets"
        )
    return file


def read(
    path: Path,
    *,
    check: bool = True,
    strict: bool = False,
    on_problem: Callable[[int, str], None] = lambda line, reason: None,
    on_line: Callable[[int], None] = lambda line: None,
) -> Molecules:
    """Return the molecules of a file.

    With `check`, RDKit reads every one and writes it canonically, so that what is no molecule is
    found and a duplicate counts once; without, texts are taken as they are. `on_problem` hears
    of every line that is left out; `strict` raises InputError there instead.
    """
    words: list[list[str]] = []
    keys: dict[int, None] = {}
    left_out: Counter[str] = Counter()
    for line, text in lines(path):
        on_line(line)
        try:
            one, key = _tokens(text, check)
        except InputError as problem:
            if strict:
                raise InputError(f"{path}:{line}: {problem}") from None
            left_out[type_of(str(problem))] += 1
            on_problem(line, str(problem))
            continue
        if key in keys:
            left_out["seen before"] += 1
            continue
        keys[key] = None
        words.append(one)
    if not words:
        raise InputError(
            f"{path}: holds no molecule that can be taught; expected one SMILES a line"
        )
    hashes = np.fromiter(keys, dtype=np.int64, count=len(keys))
    return Molecules(path.name, digest(path), words, hashes, left_out)


def rows(
    molecules: Molecules, vocabulary: Sequence[str], max_length: int, max_atoms: int
) -> tuple[list[NDArray[np.int16]], int]:
    """Return the actions of each molecule, END last, and how many did not fit."""
    known = {word: place for place, word in enumerate(vocabulary)}
    atoms = {word for word in vocabulary if kind_of(word) == "atom"}
    found = []
    for words in molecules.words:
        size = sum(word in atoms for word in words)
        if len(words) <= max_length and size <= max_atoms and all(w in known for w in words):
            ids = [*(known[word] for word in words), len(vocabulary)]
            found.append(np.array(ids, dtype=np.int16))
    return found, len(molecules) - len(found)


def vocabulary_of(
    molecules: Molecules, minimum: int = 1, known: Sequence[str] | None = None
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the tokens that `minimum` or more molecules have, and the rarer ones with counts.

    Where a vocabulary is `known`, it stays as it is, and what it lacks counts as rare.
    """
    counts = Counter(word for words in molecules.words for word in set(words))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))  # the same every time
    kept = [word for word, count in ranked if count >= minimum]
    vocabulary = check_vocabulary(kept) if known is None else tuple(known)
    rare = {word: count for word, count in counts.items() if word not in vocabulary}
    return vocabulary, rare


def sizes(molecules: Molecules) -> tuple[int, int]:
    """Return the most tokens and the most atoms of a molecule."""
    kinds = {word: kind_of(word) == "atom" for words in molecules.words for word in words}
    longest = max(len(words) for words in molecules.words)
    return longest, max(sum(kinds[word] for word in words) for words in molecules.words)


def key_of(text: str) -> int:
    """Return a 63-bit hash of a canonical SMILES."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def type_of(problem: str) -> str:
    """Return a kind of problem, for counting."""
    for kind in ("token", "salts", "RDKit", "accepted", "never closed", "not an atom"):
        if kind in problem:
            names = {"salts": "salt or mixture", "accepted": "too large", "token": "unknown token"}
            return names.get(kind, "not a SMILES" if kind != "RDKit" else "rejected by RDKit")
    return "other"


def _tokens(text: str, check: bool) -> tuple[list[str], int]:
    words = renumbered(tokenize(text))
    for place, word in enumerate(words):
        if not kind_of(word):
            raise InputError(f"token {word!r} (number {place + 1}) cannot be built with")
    if not check:
        return words, key_of(text)
    from tasks.molecules.design import parse

    return words, key_of(parse(text).key)


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line numbers and SMILES; a table is read by its column, others by first word.

    A table (.csv, .tsv) has a header; what separates its columns is found there: , ; or a tab.
    """
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path}: has more than {MAX_BYTES:,} bytes")
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rb") as raw, io.TextIOWrapper(raw, encoding="utf-8-sig") as text:
            if TABLES & set(path.suffixes):
                yield from _column(text, path)
                return
            for number, line in enumerate(text, 1):
                parts = line.split(maxsplit=1)
                if parts:
                    yield number, parts[0]
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text or .gz ({error})") from None


def _column(text: Iterable[str], path: Path) -> Iterator[tuple[int, str]]:
    rest = iter(text)
    header = next(rest, "")
    reader = csv.DictReader(chain([header], rest), delimiter=max(",;\t", key=header.count))
    column = _smiles_of([str(name) for name in reader.fieldnames or ()], path)
    for row in reader:
        if (row[column] or "").strip():
            yield reader.line_num, row[column].strip()


def _smiles_of(names: Sequence[str], path: Path) -> str:
    """Return the column named SMILES, or else the only one with that in its name."""
    bare = {name: name.strip().lower() for name in names}
    found = [name for name in names if bare[name] == "smiles"]
    found = found or [name for name in names if "smiles" in bare[name]]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(names) or "nothing"
    raise InputError(f"{path}: no column SMILES; found {listed}; give one of them that name")
