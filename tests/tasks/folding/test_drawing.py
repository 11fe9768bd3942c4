"""Pictures of folds: what is written in them can be read."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tasks.folding.design import Fold
from tasks.folding.drawing import draw
from tasks.folding.exports import pdb, xyz
from tasks.folding.page import page
from tasks.folding.view import show

SMALL = [
    Fold("ACDEFG", "cubic", "RUFDL"),
    Fold("ACDEFGHIKLMN", "cubic", "RRULLFRRDLL"),
    Fold("ACDEFGHIKLMN", "fcc", "AELFBEGAFBK"),
]


def shapes(svg: str) -> list[tuple[str, dict[str, float], str]]:
    """Return the circles, lines and letters of the first panel in the order in which they lie."""
    panel = svg.split("<g ")[1].split("</g>")[0].split("</text>", 2)[2]
    found = []
    for kind, given, text in re.findall(r"<(circle|line|text) ([^>]*)>([A-Z]?)", panel):
        if 'fill="none"' not in given or kind == "line":
            pairs = re.findall(r'(\w+)="(-?[\d.]+)"', given)
            found.append((kind, {name: float(value) for name, value in pairs}, text))
    return found


def covers(kind: str, at: dict[str, float], spot: np.ndarray) -> bool:
    """Return whether a shape lies over the middle of a letter, within 2 pixels."""
    if kind == "circle":
        return bool(np.hypot(*(spot - (at["cx"], at["cy"]))) < at["r"] + 2)
    start, end = np.array([at["x1"], at["y1"]]), np.array([at["x2"], at["y2"]])
    way = end - start
    share = np.clip((spot - start) @ way / max(way @ way, 1e-9), 0, 1)
    return kind == "line" and bool(np.hypot(*(start + share * way - spot)) < 2)


def test_a_matrix_of_ones_own_says_what_is_drawn_as_hydrophobic(tmp_path: Path) -> None:
    """In the HPNX model H attracts H; in the AB model B does not attract B, though A is alanine."""
    hpnx, ab = tmp_path / "hpnx.txt", tmp_path / "ab.txt"
    hpnx.write_text("HPNX\n-4 0 0 0\n0 1 -1 0\n0 -1 1 0\n0 0 0 0\n")
    ab.write_text("AB\n0 0\n0 -1\n")
    for file, sequence, drawn in ((hpnx, "HXNH", "HxnH"), (ab, "BAAB", "BaaB")):
        fold = Fold(sequence, "square", "RUL")
        said = show(fold, str(file))
        assert f"{drawn[3]}───{drawn[2]}" in said and f"{drawn[0]}───{drawn[1]}" in said
        assert f"({file.name}, optimal)" in said, "the file's name, without its folders"
        legend = 1
        assert draw([fold], str(file)).count('fill="#1f6f78"') == 2 + legend
        assert [line[:1] for line in xyz([fold], str(file)).splitlines()[2:]] == list("COOC")
        assert pdb([fold], str(file)).count("  1.00  1.00 ") == 2
        assert '"sticky":"HPPH"' in page([fold], str(file))


def test_panels_of_several_sequences_say_their_own() -> None:
    two = [Fold("HPPH", "square", "RUL"), Fold("HPPP", "square", "RUL")]
    drawn = draw(two)
    assert ">HPPH, square</text>" in drawn and ">HPPP, square</text>" in drawn
    assert ">4 residues, square lattice</text>" in draw(two[:1])


def test_a_picture_that_no_terminal_holds_is_not_printed() -> None:
    for fold in (Fold("H" * 100, "square", "U" * 99), Fold("H" * 100, "square", "R" * 99)):
        said = show(fold).splitlines()
        assert said[0].startswith("(too large to print, ") and len(said) == 4
    assert len(show(Fold("H" * 50, "square", "U" * 49)).splitlines()) == 99 + 3


@pytest.mark.parametrize("fold", SMALL, ids=lambda fold: f"{fold.lattice} {fold.sequence}")
def test_each_letter_of_a_small_fold_in_space_can_be_read_in_one_of_the_views(fold: Fold) -> None:
    drawn, seen = shapes(draw([fold], "mj")), Counter[str]()
    for place, (kind, at, letter) in enumerate(drawn):
        if kind == "text":
            spot = np.array([at["x"], drawn[place - 1][1]["cy"]])
            over = [shape for shape in drawn[place + 1 :] if shape[0] != "text"]
            seen[letter] += not any(covers(name, where, spot) for name, where, _ in over)
    assert set(seen) == set(fold.sequence) and all(seen.values()), seen
