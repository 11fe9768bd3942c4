"""Bad files, sequences, SMILES and campaigns: the exact message, exit code 3, little memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.main import invoke

HEAD, ROWS = "a,b,y\n", "1,2,3\n2,3,5\n3,1,4\n"
UTF8, CELLS = (
    "save it as UTF-8",
    "every row needs one cell a column (a decimal comma also splits a cell)",
)
COMMAS = "save it with commas (and decimal points)"

# file content -> what is said after its path
CSV: dict[str, tuple[bytes, str]] = {
    "empty": (b"", ": is empty; expected a header line and rows of numbers"),
    "blank lines": (b"\n\n", ": is empty; expected a header line and rows of numbers"),
    "header only": (HEAD.encode(), ": 0 row(s) below the header; expected at least 2"),
    "one row": (b"a,b,y\n1,2,3\n", ": 1 row(s) below the header; expected at least 2"),
    "no header": (
        ROWS.encode(),
        ":1: the first line holds numbers; put a line with column names above it",
    ),
    "NUL": (b"a,b,y\n1,2,3\n2,\0,5\n", ":3: holds a NUL byte; save the file as UTF-8 CSV text"),
    "UTF-16": ((HEAD + ROWS).encode("utf-16"), f": is UTF-16 text; {UTF8}"),
    "Latin-1": ("a,b,y\n1,2,3\n2,é,5\n".encode("latin-1"), f":3: is not UTF-8 text; {UTF8}"),
    "semicolons": (b"a;b;y\n1;2;3\n", f":1: is separated by semicolons; {COMMAS}"),
    "tabs": (b"a\tb\ty\n1\t2\t3\n", f":1: is separated by tabs; {COMMAS}"),
    "bars": (b"a|b|y\n1|2|3\n", f":1: is separated by bars; {COMMAS}"),
    "decimal comma": (
        b'a,b,y\n1,2,3\n"2,5",3,5\n',
        ":3: column 'a' has a decimal comma in '2,5'; write a decimal point",
    ),
    "short row": (b"a,b,y\n1,2,3\n2,3\n", f":3: 2 cells, but the header has 3; {CELLS}"),
    "long row": (b"a,b,y\n1,2,3\n2,3,4,5\n", f":3: 4 cells, but the header has 3; {CELLS}"),
    "same header twice": (
        ("a,a,y\n" + ROWS).encode(),
        ":1: columns 1 and 2 are both named 'a'; rename one",
    ),
    "no name": (("a,,y\n" + ROWS).encode(), ":1: column 2 has no header; name it"),
    "1e400": (
        b"a,b,y\n1,2,3\n2,1e400,5\n",
        ":3: column 'b': '1e400' is too large for double precision; change its unit",
    ),
    "infinity": (
        b"a,b,y\n1,2,3\n2,-inf,5\n",
        ":3: column 'b' is '-inf'; remove the row or leave the cell empty",
    ),
    "nan": (
        b"a,b,y\n1,2,3\n2,nan,5\n",
        ":3: column 'b' is 'nan'; remove the row or leave the cell empty",
    ),
    "text": (
        b"a,b,y\n1,2,3\n2,x1,5\n",
        ":3: column 'b': 'x1' is no number; correct it or leave the cell empty",
    ),
    "underscore": (
        b"a,b,y\n1,2,3\n2,1_0,5\n",
        ":3: column 'b': '1_0' is no number; correct it or leave the cell empty",
    ),
    "constant target": (
        b"a,b,y\n1,2,7\n2,3,7\n3,3,7\n",
        ": target column 'y' is 7 in every row; choose a target that varies",
    ),
    "one column": (
        b"y\n1\n2\n",
        ":1: has a single column; expected a target and at least one input, with commas",
    ),
    "a million columns": (
        (",".join(f"c{i}" for i in range(10**6)) + "\n").encode(),
        ":1: has 1,000,000 columns, at most 10,000 are read; keep the target and its likely inputs",
    ),
    "a huge field": (
        b"a,b,y\n1," + b"9" * 200_000 + b",3\n1,2,3\n",
        ":2: not valid CSV: field larger than field limit (131072); mend the quotes or separators "
        "there",
    ),
}

LETTERS = "expected H and P, or the 20 residues ACDEFGHIKLMNPQRSTVWY"
SEQUENCES = {
    "HPXP": f"sequence 'HPXP': letter 'X' at position 3, {LETTERS}",
    "H": "sequence 'H' has 1 residue; a chain that can fold has at least 3",
    "": "sequence '' has no residue; a chain that can fold has at least 3",
    "hp hp": f"sequence 'HP HP': letter ' ' at position 3, {LETTERS}",
    "НРНР": f"sequence 'НРНР': letter 'Н' at position 1, {LETTERS}",  # noqa: RUF001
    "H" * 5000: "sequence 'HHHHHHHHHHHHHHHHHHHHHHHH'... (5000 residues) is too long; the limit is "
    "1000 residues, as far as packed coordinates reach (and the energies of all its pairs take "
    "200 MB); fold a part of it",
}

FOLD = """[campaign]
steps = 1
[task]
kind = "folding"
sequence = "HPHPPHHPHH"
[[objective]]
kind = "energy"
column = "fraction"
"""
CONSENT = "if you trust it, add --allow-plugins (or name it on the command line)"
# what is replaced in the campaign above, by what -> what is said after the file's name
TOML = [
    ("[task]", "[task", ":3:6: Expected ']' at the end of a table declaration"),
    ("steps = 1", "steps = 1\nsteps = 2", ":3:10: Cannot overwrite a value"),
    ("steps", "stesp", ":2:1: unknown key 'stesp' in campaign; did you mean 'steps'?"),
    ("= 1", '= "one"', ':2:1: campaign.steps is "one", should be a valid integer'),
    ("= 1", "= 1.5", ":2:1: campaign.steps is 1.5, should be a valid integer"),
    ("= 1", "= 0", ":2:1: steps is 0; expected at least 1"),
    ("steps = 1", "budget = -5", ":2:1: budget is -5; expected at least 1"),
    (
        "steps = 1",
        "seed = 99999999999999999999",
        ":2:1: seed is 99999999999999999999; expected less than 2**63",
    ),
    ("[task]", "[taks]", ":3:1: unknown table [taks]; did you mean 'task'?"),
    ("folding", "foldin", ":4:1: unknown name 'foldin'; did you mean 'folding'?"),
    ("HPHPPHHPHH", "HPHZ", f":5:1: sequence 'HPHZ': letter 'Z' at position 4, {LETTERS}"),
    ("energy", "enrgy", ":7:1: unknown name 'enrgy'; did you mean 'energy'?"),
    (
        "[[objective]]",
        "[objective]",
        ":6:1: objective is a table, expected [[objective]] tables",
    ),
    ('"energy"', '"os:system"', f":7:1: 'os:system' is code from outside the registry; {CONSENT}"),
    ("steps = 1", "x = " + "[" * 5000, ": is nested too deeply to be a campaign file"),
    ("steps", "a" * 1_000_001, ": has more than 1,000,000 bytes: no campaign file"),
]

MOLECULE = '[campaign]\nsteps = 1\n[task]\nkind = "molecules"\n[[objective]]\n'
SMILES = [
    ("C1CC", ":7:1: target 'C1CC' is not a SMILES that RDKit reads: unclosed ring"),
    ("CCO evil", ":7:1: target 'CCO evil' holds blanks, expected one SMILES"),
    ("", ":7:1: target is empty, expected a SMILES"),
    ("C" * 3000, ":7:1: target has 3000 characters, at most 2000 are read"),
    ("[Xx]", ":7:1: target '[Xx]' is not a SMILES that RDKit reads: syntax error at character 2"),
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one line that was said; check the exit code and the memory it took."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest use of memory so far
    before = peak()
    code = invoke(list(arguments))
    assert peak() - before < 200 * 1024, "kilobytes"
    said = capsys.readouterr()
    assert code == 3 and said.out == "" and said.err.count("\n") == 1
    assert not Path("runs").exists()
    return said.err.removeprefix("designer: ").rstrip("\n")


def peak() -> int:
    """Return the highest use of memory so far, in kilobytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="needs Linux")


@pytest.mark.parametrize("name", CSV)
def test_tables(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, message = CSV[name]
    Path("data.csv").write_bytes(content)
    line = refused(capsys, "equation", "data.csv")
    assert line.removeprefix("DATA.csv: ") == f"{tmp_path / 'data.csv'}{message}"


def test_a_gigabyte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Path("data.csv").open("wb") as file:
        file.truncate(10**9)
    said = "has 1,000,000,000 bytes, at most 800,000,000 are read; keep fewer rows"
    assert refused(capsys, "equation", "data.csv") == f"{tmp_path / 'data.csv'}: {said}"


@pytest.mark.parametrize("sequence", SEQUENCES, ids=lambda s: s[:9])
def test_sequences(sequence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "fold", sequence) == f"SEQUENCE: {SEQUENCES[sequence]}"


@pytest.mark.parametrize(("old", "new", "message"), TOML, ids=[m[:40] for *_, m in TOML])
def test_campaigns(old: str, new: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.toml").write_text(FOLD.replace(old, new, 1))
    assert refused(capsys, "run", "c.toml") == f"c.toml{message}"


@pytest.mark.parametrize(("smiles", "message"), SMILES, ids=[s[:8] for s, _ in SMILES])
def test_smiles(smiles: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.toml").write_text(f'{MOLECULE}kind = "similarity"\ntarget = "{smiles}"\n')
    assert refused(capsys, "run", "c.toml") == f"c.toml{message}"


def test_there_are_many() -> None:
    assert len(CSV) + 1 + len(SEQUENCES) + len(TOML) + len(SMILES) >= 40
