"""Contact energies, bounds, exact ground states, and the shipped sequences."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest

import data
from designer.errors import InputError
from designer.testing import walk
from tasks.folding.bounds import bound, most_pairs
from tasks.folding.design import Fold, numbers
from tasks.folding.energy import contact_energies, coordinates, matrix_named, read_matrix
from tasks.folding.environment import Chain
from tasks.folding.exact import ground_states
from tasks.folding.lattices import LATTICES, lattice_named
from tasks.folding.recheck import recheck

PROTEIN = "GIVEQCCTSICSLYQLENYCN"
KNOWN = list(csv.DictReader(data.path("hp-sequences.csv").read_text("utf-8").splitlines()))


def test_a_unit_square_of_h_has_one_contact() -> None:
    assert recheck(Fold("HHHH", "square", "RUL"), matrix_named("hp")) == -1
    assert recheck(Fold("HHHP", "square", "RUL"), matrix_named("hp")) == 0
    assert recheck(Fold("LAAF", "square", "RUL"), matrix_named("mj")) == -7.28


def test_published_entries_of_the_matrices() -> None:
    full, reduced = matrix_named("mj"), matrix_named("mj-reduced")

    def entry(matrix: object, pair: str) -> float:
        letters = full.alphabet if matrix is full else reduced.alphabet
        values = full.values if matrix is full else reduced.values
        return float(values[letters.index(pair[0]), letters.index(pair[1])])

    assert [entry(full, p) for p in ("LL", "FF", "CC", "KK")] == [-7.37, -7.26, -5.44, -0.12]
    assert entry(reduced, "CC") == -0.85
    for matrix in (full, reduced):
        assert matrix.values.shape == (20, 20) and (matrix.values == matrix.values.T).all()
    assert (full.values < 0).all() and (reduced.values > 0).any()


@pytest.mark.parametrize("matrix", ["hp", "mj", "mj-reduced"])
@pytest.mark.parametrize("name", LATTICES)
def test_energies_in_arrays_equal_the_plain_recount_and_respect_the_bound(
    name: str, matrix: str
) -> None:
    env, known = Chain(PROTEIN, name, matrix), matrix_named(matrix)
    actions, _ = walk(env, 64, seed=3)
    folds = [fold for fold in env.decode(actions.tolist()) if fold]
    points = np.stack([fold.coordinates for fold in folds])
    energies = contact_energies(points, lattice_named(name), known.pairs(PROTEIN))
    np.testing.assert_allclose(energies, [recheck(f, known) for f in folds], atol=1e-9)
    assert (energies >= bound(PROTEIN, name, known) - 1e-9).all()
    assert len(contact_energies(points[:0], lattice_named(name), known.pairs(PROTEIN))) == 0


def test_energies_do_not_depend_on_how_many_folds_are_asked_for_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tasks.folding import energy

    lattice, pairs = lattice_named("square"), matrix_named("hp").pairs("HHHHHHHHH")
    letters = np.array([numbers(t, lattice) for t in ("RRUULLDR", "RURURURU", "RRRRRRRR")])
    points = coordinates(letters, lattice)
    whole = contact_energies(points, lattice, pairs)
    monkeypatch.setattr(energy, "_PAIRS_AT_ONCE", 1)
    assert contact_energies(points, lattice, pairs).tolist() == whole.tolist() == [-4, 0, 0]


def test_recheck_refuses_walks_that_meet_themselves_or_have_another_length() -> None:
    with pytest.raises(ValueError, match="residue 5 lies on residue 1"):
        recheck(Fold("HHHHH", "square", "RULD"), matrix_named("hp"))
    with pytest.raises(ValueError, match="3 bonds do not join 5 residues"):
        recheck(Fold("HHHHH", "square", "RUL"), matrix_named("hp"))


@pytest.mark.parametrize(("name", "most"), [("square", 7), ("triangular", 6), ("cubic", 6)])
def test_most_pairs_is_that_of_all_connected_point_sets(name: str, most: int) -> None:
    steps = lattice_named(name).vectors
    sets = {frozenset([(0, 0, 0)])}
    for count in range(2, most + 1):
        sets = {
            _at_origin(points | {(x + a, y + b, z + c)})
            for points in sets
            for x, y, z in points
            for a, b, c in steps
            if (x + a, y + b, z + c) not in points
        }
        pairs = max(
            sum((x + a, y + b, z + c) in points for x, y, z in points for a, b, c in steps) // 2
            for points in sets
        )
        assert most_pairs(count, name) == pairs, f"{count} points"


def _at_origin(points: frozenset[tuple[int, ...]]) -> frozenset[tuple[int, ...]]:
    least = [min(point[k] for point in points) for k in range(3)]
    return frozenset(tuple(p - q for p, q in zip(point, least, strict=True)) for point in points)


def test_published_numbers_of_pairs() -> None:
    cubic = [most_pairs(h, "cubic") for h in range(2, 13)]
    assert cubic == [1, 2, 4, 5, 7, 9, 12, 13, 15, 17, 20]
    assert (most_pairs(24, "cubic"), most_pairs(43, "cubic")) == (46, 90)
    assert (most_pairs(24, "fcc"), most_pairs(50, "fcc"), most_pairs(100, "fcc")) == (81, 196, 436)
    for name in LATTICES:
        values = [most_pairs(h, name) for h in range(250)]
        assert values[:3] == [0, 0, 1] and values == sorted(values)


@pytest.mark.parametrize("row", KNOWN, ids=lambda row: row["name"])
def test_shipped_sequences_are_whole_and_no_best_energy_beats_its_bound(
    row: dict[str, str],
) -> None:
    sequence, energy = row["sequence"], float(row["best_energy"])
    least = bound(sequence, row["lattice"])
    assert len(sequence) == int(row["length"]) and set(sequence) == set("HP")
    assert energy >= least
    if "core bound" in row["source"] or "Harborth" in row["source"]:
        assert energy == least, "the bound proves this one"


def test_every_lattice_has_shipped_sequences() -> None:
    assert {row["lattice"] for row in KNOWN} == set(LATTICES)
    assert len({row["name"] for row in KNOWN}) == len(KNOWN) == 59


def test_known_number_of_sequences_with_a_unique_ground_state() -> None:
    """Of the 1,024 HP sequences of length 10, 6 have one ground state on the square lattice."""
    unique = []
    for letters in itertools.product("HP", repeat=10):
        ground = ground_states("".join(letters), keep=0)
        if ground.energy < 0 and ground.degeneracy == 1:
            unique.append("".join(letters))
    assert len(unique) == 6


def test_exact_energy_of_a_20_residue_chain() -> None:
    ground = ground_states("HPHPPHHPHPPHPHHPPHPH")
    assert ground.energy == -9 and ground.degeneracy == len(ground.folds)
    for fold in ground.folds:
        assert recheck(fold, matrix_named("hp")) == -9


def test_exact_search_with_a_matrix_that_also_repels() -> None:
    sequence, known = "CKCDEFLKC", matrix_named("mj-reduced")
    env = Chain(sequence, "square", "mj-reduced")
    ground = ground_states(sequence, "square", "mj-reduced")
    lowest = min(
        recheck(Fold(sequence, "square", "R" + "".join(rest)), known)
        for rest in itertools.product("RLUD", repeat=7)
        if _avoids("R" + "".join(rest))
    )
    assert ground.energy == pytest.approx(lowest, abs=1e-9)
    assert env.scale >= -lowest


def _avoids(letters: str) -> bool:
    points = Fold("H" * (len(letters) + 1), "square", letters).coordinates
    return len({tuple(p) for p in points.tolist()}) == len(points)


def test_enumeration_has_a_stated_limit() -> None:
    with pytest.raises(InputError, match="limit is 24"):
        ground_states("H" * 25)


def test_a_matrix_file_as_latpack_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "hpnx.txt"
    file.write_text("HPNX\n-4 0 0 0\n 0 1 -1 0\n 0 -1 1 0\n 0 0 0 0\n\n")
    matrix = matrix_named(str(file))
    assert matrix.alphabet == "HPNX"
    assert recheck(Fold("HXXH", "square", "RUL"), matrix) == -4
    assert recheck(Fold("PXXN", "square", "RUL"), matrix) == -1


@pytest.mark.parametrize(
    "text", ["\ufeffHP\r\n-1 0\r\n0 0\r\n", "H,P\n-1,0\n0,0\n", "h p\n-1\t0\n0 0"]
)
def test_a_matrix_file_as_other_programs_write_it(text: str, tmp_path: Path) -> None:
    file = tmp_path / "hp.csv"
    file.write_bytes(text.encode())
    matrix = read_matrix(file)
    assert matrix.alphabet == "HP" and matrix.values.tolist() == [[-1, 0], [0, 0]]


BAD_FILES = {
    "empty": ("", "empty"),
    "not_square": ("HP\n-1 0\n", "1 row of numbers for the 2 letters HP"),
    "ragged": ("HP\n-1 0\n0\n", ":3: 1 numbers, expected 2"),
    "text": ("HP\n-1 x\n0 0\n", ":2: could not convert string to float: 'x'"),
    "infinite": ("HP\n-1 inf\ninf 0\n", ":2: an energy is not finite"),
    "huge": ("HP\n-1 0\n0 -1e30\n", ":3: an energy of -1e+30, expected at most 1e+06"),
    "comment": ("# contacts\nHP\n-1 0\n0 0\n", ":1: '# contacts', expected the alphabet"),
    "asymmetric": ("HP\n-1 2\n0 0\n", "not symmetric: HP is 2 but PH is 0"),
    "twice": ("HH\n-1 0\n0 0\n", ":1: 'H' twice"),
    "no_letters": ("-1 0\n0 0\n", ":1: '-1 0', expected the alphabet"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_matrix_files_are_told_with_file_and_line(kind: str, tmp_path: Path) -> None:
    text, message = BAD_FILES[kind]
    file = tmp_path / "matrix.txt"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        read_matrix(file)
    assert str(file) in str(caught.value) and message in str(caught.value)


def test_missing_matrices_are_told() -> None:
    with pytest.raises(InputError, match="did you mean 'mj-reduced'"):
        matrix_named("mj-reducd")
    with pytest.raises(InputError, match=r"nowhere\.txt: no such file; give one, or one of hp, mj"):
        matrix_named("nowhere.txt")


def test_a_letter_that_the_matrix_lacks_is_told_with_its_position(tmp_path: Path) -> None:
    file = tmp_path / "hpn.txt"
    file.write_text("HPN\n-1 0 0\n0 0 0\n0 0 0\n")
    with pytest.raises(InputError, match="letter 'X' at position 3, expected one of HPN"):
        matrix_named(str(file)).pairs("HPXH")
