"""Folds as files, and sequences from files."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from shutil import which

import numpy as np
import pytest

from designer.errors import InputError
from tasks.folding.design import Fold
from tasks.folding.energy import matrix_named
from tasks.folding.exact import ground_states
from tasks.folding.exports import BOND, contact_map, files, pdb, xyz
from tasks.folding.fasta import read_fasta
from tasks.folding.lattices import LATTICES
from tasks.folding.page import page
from tasks.folding.recheck import recheck
from tasks.folding.task import task

PROTEIN = "GIVEQCCTSICSLYQLENYCN"
LETTERS = {"square": "RUL", "triangular": "RWL", "cubic": "RUL", "fcc": "ACB"}


def folds(name: str) -> list[Fold]:
    return [Fold("HPPH", name, LETTERS[name]), Fold("HPPH", name, LETTERS[name][0] * 3)]


@pytest.mark.parametrize("name", LATTICES)
def test_pdb_columns_models_and_bond_lengths(name: str) -> None:
    lines = pdb(folds(name)).splitlines()
    assert [line for line in lines if line.startswith("MODEL")] == [
        "MODEL        1",
        "MODEL        2",
    ]
    assert lines.count("ENDMDL") == lines.count("TER       5      ALA A   4") == 2
    assert lines[-1] == "END"
    atoms = [line for line in lines if line.startswith("ATOM")]
    assert all(len(line) == 80 and line[12:16] == " CA " and line[21] == "A" for line in atoms)
    assert [line[17:20] for line in atoms[:4]] == ["ALA", "GLY", "GLY", "ALA"]
    assert [int(line[22:26]) for line in atoms] == [1, 2, 3, 4] * 2
    assert [float(line[60:66]) for line in atoms[:4]] == [1, 0, 0, 1] and atoms[0][77] == "C"
    at = np.array([[float(line[k : k + 8]) for k in (30, 38, 46)] for line in atoms[:4]])
    np.testing.assert_allclose(np.linalg.norm(np.diff(at, axis=0), axis=1), BOND, atol=2e-3)
    assert "CONECT    2    1    3" in lines and "CONECT    4    3" in lines
    energy = recheck(folds(name)[0], matrix_named("hp"))
    assert f"REMARK   1 MODEL 1 ENERGY {energy:g} LATTICE {name.upper()}" in lines


def test_pdb_of_a_protein_names_its_residues() -> None:
    atoms = [ln for ln in pdb([Fold(PROTEIN, "fcc", "A" * 20)], "mj").splitlines() if "ATOM" in ln]
    names = "GLY ILE VAL GLU GLN CYS CYS THR SER ILE CYS SER LEU TYR GLN LEU GLU ASN TYR CYS ASN"
    assert [line[17:20] for line in atoms] == names.split()


@pytest.mark.parametrize("name", LATTICES)
def test_xyz_has_a_frame_a_fold(name: str) -> None:
    lines = xyz(folds(name)).splitlines()
    assert len(lines) == 2 * 6 and lines[0] == lines[6] == "4"
    assert lines[1].startswith("energy ") and lines[1].endswith(f"{name} {LETTERS[name]}")
    at = np.array([[float(word) for word in line.split()[1:]] for line in lines[2:6]])
    np.testing.assert_allclose(np.linalg.norm(np.diff(at, axis=0), axis=1), BOND, atol=2e-3)
    assert [line[0] for line in lines[2:6]] == ["C", "O", "O", "C"]


@pytest.mark.parametrize("matrix", ["hp", "mj"])
def test_contact_maps_add_up_to_the_energy(matrix: str) -> None:
    fold = Fold("LKFEIV", "square", "RULUR")
    rows = list(csv.DictReader(contact_map(fold, matrix).splitlines()))
    assert {(int(r["i"]), int(r["j"])) for r in rows} == {(1, 4), (3, 6)}
    assert [(r["residue_i"], r["residue_j"]) for r in rows] == [("L", "E"), ("F", "V")]
    total = sum(float(r["energy"]) for r in rows)
    assert total == pytest.approx(recheck(fold, matrix_named(matrix)))


class Tags(HTMLParser):
    """Collects what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag and every attribute that names an address."""
        self.tags.append(tag)
        self.loaded += [(k, v) for k, v in attrs if k in ("src", "href", "action", "data")]


def test_the_page_needs_nothing_else_and_escapes_what_it_shows(tmp_path: Path) -> None:
    file = tmp_path / "a<script>&c.txt"
    file.write_text("HP\n-1 0\n0 0\n")
    text = page(folds("cubic"), str(file))
    reader = Tags()
    reader.feed(text)
    assert reader.loaded == [] and reader.tags.count("script") == 1
    assert "http://" not in text and "https://" not in text
    (found,) = re.findall(r"const folds = (.*);\n", text)
    entries = json.loads(found)
    assert "<" not in found and "a<script>&c.txt" in entries[0]["title"]
    assert entries[0]["contacts"] == [[0, 3]] and entries[1]["contacts"] == []
    assert len(entries[0]["points"]) == 4 and entries[0]["letters"] == "RUL"


def test_the_page_says_what_the_picture_says_of_a_proof() -> None:
    fold = ground_states("PHPHHPHPHPPH").folds[0]
    shown = [fold, Fold("PHPHHPHPHPPH", "square", "R" * 11)]
    found = [None] * len(shown)
    sure, open_ = task("PHPHHPHPHPPH"), task("PHPHHPHPHPPH", target_energy=-4.0)
    assert sure.exports is not None and open_.exports is not None
    html = sure.exports(shown, found)["best.html"]
    assert "energy -4 (hp, optimal, proved by enumeration)</option>" in html
    assert "energy 0 (hp, bound -6)</option>" in html
    assert "proved by enumeration" in sure.draw(shown)
    html = open_.exports(shown, found)["best.html"]  # a target is met; nothing was put to the proof
    assert "energy -4 (hp, bound -6)</option>" in html
    assert "proved by enumeration" not in open_.draw(shown)


def test_no_coordinate_is_minus_zero() -> None:
    fold = Fold("HPHPPHHPHPPHPHHPPHPH", "square", "RUULDLULLDRDRDLDRRU")
    assert "-0.000" not in pdb([fold]) and "-0.000" not in xyz([fold])


@pytest.mark.skipif(which("node") is None, reason="runs the page's script where node is there")
def test_the_script_of_the_page_runs(tmp_path: Path) -> None:
    (script,) = re.findall(r"<script>(.*)</script>", page(folds("fcc")), re.DOTALL)
    around = """
const drawn = [], brush = new Proxy({}, {get: (t, k) => k in t ? t[k] : (...a) => drawn.push(a),
  set: (t, k, v) => { t[k] = v; return true; }});
const parts = {};
global.document = {getElementById: id => parts[id] = parts[id] || {width: 9, height: 9,
  getContext: () => brush, setPointerCapture() {}, addEventListener(n, f) { this[n] = f; }}};
"""
    after = """
parts.view.pointerdown({clientX: 0, clientY: 0}); parts.view.pointermove({clientX: 9, clientY: 9});
parts.view.pointerup({}); parts.view.wheel({preventDefault() {}, deltaY: 50});
parts.which.change({target: {value: "1"}});
console.log(parts.letters.textContent, drawn.length > 50, drawn.flat().some(Number.isNaN));
"""
    file = tmp_path / "page.js"
    file.write_text(around + script + after)
    done = subprocess.run(["node", str(file)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["HPPH", "AAA", "true", "false"]


def test_the_task_exports_all_of_them() -> None:
    made = task("HPPH", search_steps=1000)
    assert made.exports is not None
    assert set(made.exports(folds("square"), [])) == {
        "best.pdb", "best.xyz", "best.html", "contacts.csv",
    }  # fmt: skip
    assert files(folds("square"))["best.pdb"] == pdb(folds("square"))


def test_fasta_records_are_read(tmp_path: Path) -> None:
    file = tmp_path / "chains.fasta"
    file.write_text(";a comment\n>one the first\nhpph\nPH PH\n\n>\nGIVEQ*\n")
    found = read_fasta(file)
    assert [(r.name, r.sequence, r.line) for r in found] == [
        ("one", "HPPHPHPH", 2),
        ("record 2", "GIVEQ", 6),
    ]
    plain = tmp_path / "plain.txt"
    plain.write_text("HPPH\nHH\n")
    assert [(r.name, r.sequence) for r in read_fasta(plain)] == [("plain", "HPPHHH")]


def test_bad_fasta_files_are_told(tmp_path: Path) -> None:
    for text, message in {
        "": "no sequence, expected FASTA records",
        ">a\n>b\nHPPH\n": ":1: record 'a': sequence '' has no residue",
        ">a\nHPPH\n>b\nHXP\n": ":3: record 'b': sequence 'HXP': letter 'X' at position 2",
        ">a\nHP-PH\n": "letter '-' at position 3",
    }.items():
        file = tmp_path / "bad.fa"
        file.write_text(text)
        with pytest.raises(InputError) as caught:
            read_fasta(file)
        assert message in str(caught.value) and "\n" not in str(caught.value)
