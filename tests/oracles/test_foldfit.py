"""Sequences on a fixed fold: against plain recounts and full enumeration."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from cli.main import invoke
from designer.errors import InputError
from designer.sequences import TokenDesign
from designer.testing import check_environment, check_oracle
from oracles.foldfit import Foldability, FoldFit
from tasks.folding.design import Fold
from tasks.folding.designing import designing
from tasks.folding.energy import matrix_named

TARGET = "RRULLURRR"  # 10 residues


def word(text: str) -> TokenDesign:
    return TokenDesign(tuple(text), text)


def plain(sequence: str, matrix: str) -> tuple[float, float]:
    """Return energy and gap by plain loops over the points."""
    points = [tuple(p) for p in Fold(sequence, "square", TARGET).coordinates.tolist()]
    known = matrix_named(matrix)
    kinds = [known.alphabet.index(letter) for letter in sequence]
    touching, possible, count = 0.0, [], 0
    for i in range(len(points)):
        for j in range(i + 3, len(points), 2):
            value = float(known.values[kinds[i], kinds[j]])
            possible.append(value)
            if sum(abs(a - b) for a, b in zip(points[i], points[j], strict=True)) == 1:
                touching, count = touching + value, count + 1
    return touching, count * sum(possible) / len(possible) - touching


@pytest.mark.parametrize("matrix,letters", [("hp", "HP"), ("mj", "ACDEFGHIKLMNPQRSTVWY")])
def test_energy_and_gap_are_those_of_a_plain_recount(matrix: str, letters: str) -> None:
    rng = np.random.default_rng(0)
    words = [word("".join(rng.choice(list(letters), 10))) for _ in range(20)]
    oracle = FoldFit(TARGET, "square", matrix)
    check_oracle(oracle, words)
    said = oracle(words).columns
    for row, one in enumerate(words):
        energy, gap = plain(one.text, matrix)
        assert said["energy"][row] == pytest.approx(energy)
        assert said["gap"][row] == pytest.approx(gap)
    same = oracle([word(letters[0] * 10)]).columns
    assert same["gap"][0] == pytest.approx(0.0, abs=1e-12)  # composition alone earns nothing


def test_the_relaxed_form_is_the_exact_mean_over_independent_residues() -> None:
    oracle = FoldFit(TARGET, "square")
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(10, generator=generator, dtype=torch.float64)
    words = [word("".join(letters)) for letters in product("HP", repeat=10)]
    chance = np.array(
        [
            np.prod([float(p[i]) if a == "H" else 1 - float(p[i]) for i, a in enumerate(w.text)])
            for w in words
        ]
    )
    mean = float((chance * oracle(words).columns["gap"]).sum())
    shares = torch.stack([p, 1 - p, torch.zeros(10).double()], dim=1)[None]  # with END
    assert float(oracle.relaxed(shares)) == pytest.approx(mean, abs=1e-12)


def test_six_sequences_of_ten_residues_design_four_structures() -> None:
    """Irback and Troein 2002: at N = 10 six HP sequences have one ground state, on 4 structures."""
    from tasks.folding.exact import ground_states

    found = {}
    for letters in product("HP", repeat=10):
        text = "".join(letters)
        if text.count("H") < 4 or text > text[::-1]:
            continue
        ground = ground_states(text)
        if ground.degeneracy == 1:
            found[text] = ground.folds[0].letters
    for text, fold in found.items():
        judged = Foldability(fold, "square")([word(text)]).columns
        assert judged["solved"][0] == 1.0 and judged["above"][0] == 0.0
        other = Foldability("R" * 9, "square")([word(text)]).columns
        assert other["solved"][0] == 0.0 and other["above"][0] > 0.0
    counted = {t for text in found for t in (text, text[::-1])}
    assert len(counted) == 6


def test_the_task_and_its_refusals() -> None:
    made = designing(TARGET)
    check_environment(made.environment)
    assert "energy" in made.show(made.examples[0]) and "<svg" in made.draw(made.examples)
    for bad, hint in (("RL", "meets itself"), ("RRX", "letter"), ("R", "2 residues")):
        with pytest.raises(InputError, match=hint):
            designing(bad)
    with pytest.raises(InputError, match="too many to enumerate"):
        Foldability("R" * 30, "square")
    with pytest.raises(InputError, match="judges sequences of 10"):
        FoldFit(TARGET, "square")([word("HP")])


CAMPAIGN = """
[campaign]
batch_size = 16
steps = 4
proposals = 4
replay = 4
replay_from = 2
[task]
kind = "{task}"
{more}
[policy]
hidden = 8
[learner]
kind = "{learner}"
{settings}
[[objective]]
kind = "{oracle}"
column = "{column}"
"""
INVERSE = {"task": "fold_design", "more": f'target = "{TARGET}"', "oracle": "fold_fit"}
EXACT = INVERSE | {"oracle": "foldability", "column": "score"}
BENT = {"task": "offlattice", "more": 'sequence = "ABBABBAB"\nrelaxation = 3'} | {
    "oracle": "ab_energy",
    "column": "score",
}


@pytest.mark.parametrize(
    "parts,learner,settings,code,said",
    [
        (INVERSE, "gumbel", "tau = 0.8", 0, ""),
        (INVERSE, "gumbel", "hard = false", 0, ""),
        (INVERSE, "reinforce", "", 0, ""),
        (INVERSE | {"column": "energy"}, "gumbel", "", 3, "of column 'gap' only"),
        (EXACT, "ppo", "", 0, ""),
        (
            EXACT,
            "gumbel",
            "",
            3,
            "gives no derivative",
        ),
        (INVERSE, "pathwise", "", 3, "this task has none"),
        (BENT, "pathwise", "entropy = 0.01", 0, ""),
        (BENT, "dpg", "", 0, ""),
        (BENT, "dpg", 'critic = "learned"\ncritic_hidden = 8', 0, ""),
        (BENT, "ppo", "", 0, ""),
        (BENT, "gumbel", "", 3, "has no relaxed form"),
    ],
)
def test_every_kind_runs_from_a_campaign_file(
    tmp_path: Any, capsys: Any, parts: Any, learner: str, settings: str, code: int, said: str
) -> None:
    filled = {"column": "gap"} | parts | {"learner": learner, "settings": settings}
    file = tmp_path / "campaign.toml"
    file.write_text(CAMPAIGN.format(**filled))
    got = invoke(["run", str(file), "--quiet", "--out", str(tmp_path / "run")])
    told = capsys.readouterr().err
    assert got == code and said in told, told
    if code == 3:
        assert "campaign.toml:" in told and told.count("\n") == 1
        return
    assert invoke(["resume", str(tmp_path / "run"), "--quiet", "--set", "campaign.steps=6"]) == 0
