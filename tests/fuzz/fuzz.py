"""Readers of foreign text under a coverage-guided fuzzer: `./run fuzz [TARGET [SECONDS]]`.

Whatever the bytes are, a reader answers with a result or with an InputError of one line, soon,
and touches no file. Needs the extra `fuzz` (atheris, which not every Python has). The same promises
are tested with hypothesis, without instrumentation and within 50 ms, in
tests/reliability/test_fuzz.py.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["designer", "tasks"]):
    from designer import checkpoint, config
    from designer.errors import InputError
    from tasks.molecules.tokens import tokenize
    from tasks.symbolic.language.library import library
    from tasks.symbolic.language.parser import parse

SOON = 0.25  # seconds of processor time: instrumented code takes about five times as long
LIBRARY = library("all", ("x", "y"), (), True)
FOLDER = Path(tempfile.mkdtemp(prefix="designer-fuzz-"))


def formula(data: bytes) -> Any:
    """Read a formula."""
    return parse(data.decode(errors="replace"), LIBRARY)


def smiles(data: bytes) -> Any:
    """Read a SMILES."""
    return tokenize(data.decode(errors="replace"))


def campaign(data: bytes) -> Any:
    """Read a campaign file, and where each of its keys stands."""
    return config.parse(data.decode(errors="replace"))


def state(data: bytes) -> Any:
    """Read a checkpoint."""
    (FOLDER / checkpoint.NAME).write_bytes(data)
    return checkpoint.load(FOLDER)


TARGETS: dict[str, Callable[[bytes], Any]] = {
    "formula": formula,
    "smiles": smiles,
    "campaign": campaign,
    "checkpoint": state,
}
SEEDS = {
    "formula": ["sin(x)**2 + 3.5*y", "-(x/y) ^ 0.5 - exp(c0*x)", "`x` + max(x, 1e-3)"],
    "smiles": ["CC(=O)Oc1ccccc1C(=O)O", "[nH]1cccc1", "C/C=C/[C@@H](F)Cl", "C%12CC%12"],
    "campaign": ['[campaign]\nseed = 1\n[[objective]]\nkind = "qed"\n', "a.b = {c = [1, 2.5]}\n"],
    "checkpoint": [],
}


def within(reader: Callable[[bytes], Any], data: bytes) -> None:
    """Read the bytes; raises where the reader is late or fails otherwise than it may."""
    started = time.process_time()
    try:
        reader(data)
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 2000, "one line"
    taken = time.process_time() - started
    if taken > SOON:  # collecting garbage is not the reader's time: once more
        started = time.process_time()
        with contextlib.suppress(InputError):
            reader(data)
        assert time.process_time() - started < SOON, f"took {taken:.2f} s"


def main() -> None:
    """Run one target with the fuzzer's own options, such as -max_total_time=60."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in TARGETS:
        sys.exit(f"usage: fuzz.py {'|'.join(TARGETS)} [-max_total_time=SECONDS] [FOLDER OF SEEDS]")
    seeds = FOLDER / "seeds"
    seeds.mkdir()
    for number, text in enumerate(SEEDS[name]):
        (seeds / str(number)).write_text(text)
    if name == "checkpoint":
        whole = tempfile.mkdtemp()
        checkpoint.save(Path(whole), {"step": 1, "list": [1.5, "a"]})
        (seeds / "0").write_bytes((Path(whole) / checkpoint.NAME).read_bytes())
    os.chdir(FOLDER)  # what was found is kept here, and a stray file would be seen
    reader = TARGETS[name]
    atheris.Setup([sys.argv[0], *sys.argv[2:], str(seeds)], lambda data: within(reader, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
