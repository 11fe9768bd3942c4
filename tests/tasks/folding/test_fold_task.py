"""Sequences, folds as text, pictures, and the task tied together."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from designer.errors import InputError
from designer.protocols import Design
from designer.testing import check_environment, check_proposer, walk
from tasks import TASKS
from tasks.folding.design import Fold, parse_fold
from tasks.folding.drawing import draw
from tasks.folding.energy import matrix_named
from tasks.folding.lattices import LATTICES
from tasks.folding.recheck import recheck
from tasks.folding.sequence import hp_string, parse_sequence
from tasks.folding.task import contact_class, task
from tasks.folding.view import picture, show

SEQUENCE = "HPHPPHHPHPPHPHHPPHPH"
PROTEIN = "GIVEQCCTSICSLYQLENYCN"


def test_sequences_are_read_whatever_their_case_and_blanks() -> None:
    assert parse_sequence(" hpPh\n") == "HPPH"
    assert parse_sequence(PROTEIN.lower()) == PROTEIN
    assert hp_string("ACDEFGHIKLMNPQRSTVWY") == "HHPPHPPHPHHPPPPPPHHH"
    assert hp_string("HPPH") == "HPPH"


BAD_SEQUENCES = {
    "": "has no residue",
    "H": "has 1 residue;",
    "HP": "has 2 residues",
    "HPXH": "letter 'X' at position 3, expected H and P, or the 20 residues",
    "HP PH": "letter ' ' at position 3",
    "H" * 1001: "the limit is 1000 residues",
    "H" * 10000: "(10000 residues) is too long; the limit is 1000 residues, as far as packed "
    "coordinates reach (and the energies of all its pairs take 800 MB); fold a part of it",
}


@pytest.mark.parametrize("text", BAD_SEQUENCES, ids=lambda text: text[:5] + str(len(text)))
def test_bad_sequences_are_told(text: str) -> None:
    with pytest.raises(InputError) as caught:
        task(text)
    assert BAD_SEQUENCES[text] in str(caught.value) and "\n" not in str(caught.value)


def test_hp_strings_are_not_taken_for_histidine_and_proline() -> None:
    with pytest.raises(InputError, match="HP string; this contact energy needs the 20-letter"):
        task("HPPHH", matrix="mj")


def test_bad_lattices_and_matrices_are_told() -> None:
    with pytest.raises(InputError, match="unknown lattice 'sqare'; did you mean 'square'"):
        task(SEQUENCE, "sqare")
    with pytest.raises(InputError, match="unknown contact energy 'hpp'; did you mean 'hp'"):
        task(SEQUENCE, matrix="hpp")


def test_folds_are_read_and_checked() -> None:
    parse = task("HPPHP").parse
    assert parse(" rruu ") == Fold("HPPHP", "square", "RRUU")
    for text, message in {
        "RRU": "has 3 bonds, expected 4 for 5 residues",
        "RRUF": "letter 'F' at position 4, expected one of RLUD",
        "RULD": "residues 1 and 5 lie on one point",
        "RLRR": "residues 1 and 3 lie on one point",
    }.items():
        with pytest.raises(InputError, match=message):
            parse(text)
    assert isinstance(parse("RRUU"), Design) and parse("RRUU").complexity == 5


@pytest.mark.parametrize("matrix", ["hp", "mj"])
@pytest.mark.parametrize("name", LATTICES)
def test_the_task_keeps_every_contract(name: str, matrix: str) -> None:
    made = task(PROTEIN, name, matrix, search_steps=20_000)
    check_environment(made.environment, batch_size=8)
    assert made.proposer is not None and made.bucket is not None and made.optimal is not None
    check_proposer(made.proposer, made.examples)
    straight = made.examples[0]
    assert recheck(straight, matrix_named(matrix)) == 0
    assert made.context["sequence"] == PROTEIN and made.context["lattice"] == name
    assert made.parse(straight.text).key == straight.key
    least = made.context["bound"]
    assert made.optimal({"energy": least}) and not made.optimal({"energy": -1.0})
    assert not made.optimal({})


def test_compact_is_a_share_of_the_bound_of_hp_contacts() -> None:
    for share in (-0.1, 1.5, float("nan")):
        with pytest.raises(InputError, match="expected a share of the bound"):
            task("HPPHPPHPPH", compact=share)
    with pytest.raises(InputError, match=r"compact = 0\.5 is for matrix"):
        task(PROTEIN, matrix="mj", compact=0.5)


def test_cores_are_for_hp_chains_and_leave_nothing_for_compact_to_say() -> None:
    with pytest.raises(InputError, match="cores is -1, expected a number of bonds"):
        task("HPPHPPHPPH", cores=-1)
    with pytest.raises(InputError, match='cores = 0 is for matrix = "hp"'):
        task(PROTEIN, matrix="mj", cores=0)
    with pytest.raises(InputError, match=r"cores = 1 says more than compact = 0\.5"):
        task("HPPHPPHPPH", cores=1, compact=0.5)
    with pytest.raises(InputError, match="grown = 5 grows chains freely, and cores = 1 leads them"):
        task("HPPHPH", cores=1, grown=5)
    with pytest.raises(InputError, match='search = "enrichment" grows chains freely'):
        task("HPPHPH", cores=1, search="enrichment")
    with pytest.raises(InputError, match="without hydrophobic residues"):
        task("PPPPP", cores=1)


def test_the_task_is_registered() -> None:
    assert TASKS["folding"] == "tasks.folding.task:task"


def test_classes_of_folds_follow_their_contacts() -> None:
    open_, closed = parse_fold("RRRRR", "HPPPPH", "square"), parse_fold("RRULL", "HPPPPH", "square")
    assert contact_class(open_) == "" and contact_class(closed) == "0-1"


def test_a_square_fold_is_drawn_as_it_lies() -> None:
    assert picture(Fold("HPPHP", "square", "RUUL")) == [
        "○───●",
        "    │",
        "    ○",
        "    │",
        "◉───○",
    ]


def test_a_triangular_fold_is_drawn_as_it_lies() -> None:
    assert picture(Fold("PPHPH", "triangular", "RWRE")) == [
        "  ●───○",
        "   ╲   ╲",
        "◎───○   ●",
    ]


def test_a_cubic_fold_is_drawn_layer_by_layer() -> None:
    assert picture(Fold("HPPHH", "cubic", "RFUL")) == [
        "z = 0     z = 1",
        "          ●───●",
        "              │",
        "◉───○↑        ○↓",
    ]


@pytest.mark.parametrize("name", LATTICES)
def test_text_shows_every_residue_the_energy_and_the_letters(name: str) -> None:
    made = task(SEQUENCE, name)
    folds = made.environment.decode(walk(made.environment, 16)[0].tolist())
    for fold in folds:
        if fold is None:
            continue
        text = made.show(fold)
        drawn = "\n".join(picture(fold))
        assert drawn.count("●") + drawn.count("◉") == SEQUENCE.count("H")
        assert drawn.count("○") == SEQUENCE.count("P")
        assert f"energy {recheck(fold, matrix_named('hp')):g} " in text
        assert text.splitlines()[-1] == fold.letters


def test_where_nothing_attracts_every_fold_is_optimal() -> None:
    made = task("PPPPPPP")
    assert made.optimal is not None and str(made.context["bound"]) == "0.0"
    assert made.optimal({"energy": 0.0}) and not made.optimal({})


def test_a_window_looks_ahead() -> None:
    with pytest.raises(InputError, match="window is -3, expected a number of residues"):
        task(SEQUENCE, window=-3)
    check_environment(task(SEQUENCE, window=0).environment)


def test_a_long_fold_still_fits_a_terminal() -> None:
    lines = picture(Fold("H" * 36, "square", "R" * 35))
    assert max(map(len, lines)) <= 76


def test_a_protein_shows_its_letters() -> None:
    assert picture(Fold("LKFE", "square", "RUL")) == ["e───F", "    │", "L───k"]


@pytest.mark.parametrize("name", LATTICES)
def test_pictures_are_svg_with_every_residue_bond_and_contact(name: str) -> None:
    made = task(SEQUENCE, name)
    grown = [f for f in made.environment.decode(walk(made.environment, 4)[0].tolist()) if f]
    folds = list({str(fold.contacts): fold for fold in grown}.values())  # else alike
    root = ElementTree.fromstring(made.draw(folds))
    space = "{http://www.w3.org/2000/svg}"
    views = 1 if LATTICES[name].dimensions == 2 else 3
    circles, lines = list(root.iter(space + "circle")), list(root.iter(space + "line"))
    assert len(circles) == len(folds) * views * 21 + 3  # one residue is ringed; the legend
    contacts = sum(-recheck(fold, matrix_named("hp")) for fold in folds)
    assert len(lines) == views * (19 * len(folds) + contacts) + 1
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert width > 0 and height > 0


def test_of_folds_with_the_same_contacts_one_is_drawn() -> None:
    alike = [Fold("HPPHPP", "square", letters) for letters in ("RULUU", "RULUL", "RULLU")]
    straight = [Fold("HPPHPP", "square", "RRRR" + last) for last in "RU"]
    root = ElementTree.fromstring(draw([alike[0], straight[0], *alike[1:], straight[1]]))
    told = [node.text for node in root.iter() if node.text and "residues" in node.text]
    plain = "6 residues, square lattice"
    assert told == [f"{plain}, 2 more alike", plain, plain]  # no contact: not alike
    assert "alike" not in draw([Fold(text, "square", "RULUU") for text in ("HPPHPP", "HPPHPH")])


def test_pictures_escape_what_a_file_name_may_hold(tmp_path: Path) -> None:
    file = tmp_path / "a<b>&c.txt"
    file.write_text("HP\n-1 0\n0 0\n")
    text = draw([Fold("HPPH", "square", "RUL")], str(file))
    titles = [node.text or "" for node in ElementTree.fromstring(text).iter() if node.text]
    assert any("a<b>&c.txt" in title for title in titles)
    assert ElementTree.fromstring(draw([])).tag.endswith("svg")


def test_colours_and_sizes_are_numbers() -> None:
    text = draw([Fold(PROTEIN, "fcc", "A" * 20)], "mj")
    assert "nan" not in text and "inf" not in text.replace("infinity", "")
    assert show(Fold(PROTEIN, "fcc", "A" * 20), "mj").splitlines()[0].startswith("z = 0")
    assert np.isfinite(recheck(Fold(PROTEIN, "fcc", "A" * 20), matrix_named("mj")))


def test_the_drawing_explains_its_shapes_and_tells_what_is_proved() -> None:
    folds = [Fold("HPPHPH", "square", letters) for letters in ("RULUR", "RRRRR")]
    asked: list[float] = []

    def proven(energy: float) -> bool:
        asked.append(energy)
        return energy < 0

    root = ElementTree.fromstring(draw(folds, proven=proven))
    said = [node.text or "" for node in root.iter() if node.tag.endswith("text")]
    assert said[-4:] == ["hydrophobic", "polar", "first", "attraction"]
    titles = [text for text in said if "energy" in text]
    assert "proved" in titles[0] and "bound" in titles[1]
    assert len(asked) == 1, "only of the lowest, once"
