import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from designer.errors import InputError
from designer.memory import Found
from designer.protocols import Design
from tasks.molecules.design import parse
from tasks.molecules.files import files
from tasks.molecules.task import bucket, task
from tasks.molecules.view import draw, show


@pytest.mark.parametrize("representation", ["graph", "smiles"])
def test_a_task_is_complete(representation: str) -> None:
    made = task(representation, max_atoms=24, min_atoms=6)
    assert made.environment.max_atoms == 24
    assert made.proposer is not None and made.bucket is not None
    assert made.parse("OCC").key == "CCO"
    assert len(made.examples) == 8
    assert all(isinstance(example, Design) for example in made.examples)


def test_settings_of_another_representation_are_refused() -> None:
    """Whatever they say, unless they say what is so anyway; as a file would: lists, not tuples."""
    for name, given in (
        ("smiles", {"ring_sizes": [5, 6, 7]}), ("fragments", {"kinds": ["C"]}),
        ("smiles", {"max_fragments": 20}), ("graph", {"fragments": Path("mine.smi")}),
        ("graph", {"max_length": 50}), ("fragments", {"vocabulary": ["C"]}),
    ):  # fmt: skip
        (key,) = given
        with pytest.raises(InputError, match=f'{key} is for representation = "') as caught:
            task(name, **given)  # type: ignore[arg-type]
        assert f'this one is "{name}"' in str(caught.value)
    assert task("smiles", ring_sizes=[5, 6], max_fragments=300).name == "molecules"


def test_an_unknown_representation_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'graph'"):
        task("graphs")


def test_buckets_are_scaffolds() -> None:
    assert bucket(parse("CCc1ccc(CN2CCOCC2)cc1")) == "c1ccc(CN2CCOCC2)cc1"
    assert bucket(parse("CCO")) == "acyclic"


def test_the_text_names_known_properties_of_aspirin() -> None:
    text = show(parse("CC(=O)Oc1ccccc1C(=O)O"))
    assert "C9H8O4" in text and "180.2 g/mol" in text and "0.550" in text  # PubChem; QED paper


def test_the_grid_is_one_document_with_escaped_texts() -> None:
    designs = [parse(smiles) for smiles in ("CCO", "c1ccccc1", "C/C=C/C", "CC#N", "CO")]
    svg = draw(designs, ["<script>alert(1)</script>", "a & b", '"', "]]>", "x" * 99])
    root = ElementTree.fromstring(svg)
    name = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{name}svg" and "<script" not in svg
    titles = [node.text for node in root.iter(f"{name}title")]
    assert titles == ["<script>alert(1)</script>", "a & b", '"', "]]>", "x" * 99]
    assert len(list(root.iter(f"{name}path"))) > 10
    assert ElementTree.fromstring(draw([])) is not None


def test_the_exported_drawing_says_rank_reward_and_scores() -> None:
    designs = [parse("CCO"), parse("c1ccccc1")]
    found = [
        Found(design.smiles, 0.5, {"qed": 0.41, "mw": 46.07}, 3, 0, 1, "", 0.5)
        for design in designs
    ]
    root = ElementTree.fromstring(files(designs, found)["best.svg"])
    lines = [node.text for node in root.iter("{http://www.w3.org/2000/svg}tspan")]
    assert lines[:3] == ["1: reward 0.5", "qed 0.41, mw 46.1", "CCO"] and lines[5] == "c1ccccc1"
    assert float(root.attrib["height"]) >= 200 + 3 * 13
