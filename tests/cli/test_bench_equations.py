"""The benchmark of laws: which cases there are, what counts as found, and that runs are kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cli import bench_equations as be
from cli.bench_equations_ablation import ablate, settings
from cli.bench_equations_cases import Case, cases_of, chosen, held_out, noisy, sample, truth
from cli.bench_equations_runs import Outcome, Setting, _apart, _campaign, is_law, run, sampled
from cli.bench_equations_same import same_form, same_law, size
from cli.options import Options
from designer.errors import InputError
from tasks.symbolic.fit import fitting, graph
from tasks.symbolic.language.library import library
from tasks.symbolic.language.parser import parse
from tasks.symbolic.language.trees import read

SPAN = (1.0, 3.0)
CASE = Case("own", "own-1", "2*a^2*b/(b+3)", "default", 3, ("a", "b"), (SPAN, SPAN), 200)
LIST = (
    "name,formula,output_units_m_s_kg_T_V,v1,v1_low,v1_high,v1_units,v2,v2_low,v2_high,v2_units\n"
    "speed,d/t,1;-1;0;0;0,d,1,5,1;0;0;0;0,t,1,2,0;1;0;0;0\n"
)
OUTCOME = Outcome(True, True, True, 1.0, 10, 3, 3, 0.0, 1.0, "x")


def found(text: str, case: Case = CASE):
    return parse(text, library("all", case.variables, constant=True))


def test_suites_have_their_published_cases():
    counts = {"nguyen": 12, "nguyen-c": 5, "jin": 6, "constant": 8, "livermore": 22, "r": 3}
    assert {suite: len(cases_of(suite)) for suite in counts} == counts
    twins = [c.name for c in cases_of("constant") if c.name[-1] in "12358"]
    assert len(twins) == 5  # Nguyen-c is five of Constant, under other names
    formulas = {c.formula for c in cases_of("constant")}
    assert {c.formula for c in cases_of("nguyen-c")} <= formulas


def test_cases_are_chosen_by_suite_name_and_number():
    some = chosen(("nguyen", "livermore"), (), 4, 1, 33)
    assert [c.name for c in some][:3] == ["Nguyen-2", "Nguyen-6", "Nguyen-10"]
    assert [c.name for c in some][3:5] == ["Livermore-2", "Livermore-6"]
    assert {c.points for c in some} == {33}
    for names in (("Jin-1",), ("Nguyen-2", "Jin-1")):
        with pytest.raises(InputError, match="no case Jin-1 in the suites nguyen"):
            chosen(("nguyen",), names, 1, 0, None)
    with pytest.raises(InputError, match="no case from number 99 on"):
        chosen(("nguyen",), (), 1, 99, None)
    with pytest.raises(InputError, match="none of the laws of the ablation is in nguyen-c"):
        ablate(be.Plan(("nguyen-c",)), Options())
    with pytest.raises(InputError, match="nguyen"):
        cases_of("nguyn")


def test_samples_repeat_and_what_is_held_out_is_other():
    x, y = sample(CASE, 3)
    again, _ = sample(CASE, 3)
    assert np.array_equal(x, again) and x.shape == (200, 2)
    assert np.allclose(y, 2 * x[:, 0] ** 2 * x[:, 1] / (x[:, 1] + 3), rtol=1e-14)
    other, _ = held_out(CASE, 3)
    assert other.shape == (1000, 2) and not np.isin(other, x).any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,v1\nspeed,d\n", "laws.csv:2: 'formula'; expected the columns name, formula, v1"),
        (LIST.replace("d,1,5", "d,1,far"), "laws.csv:2: .*'far'"),
        (LIST.replace("d,1,5", "d,1,"), "laws.csv:2: .*with numbers for the ranges"),
    ],
)
def test_a_list_that_is_none_is_told(tmp_path: Path, text: str, message: str):
    file = tmp_path / "laws.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        cases_of(str(file))


def test_a_law_that_is_nowhere_defined_is_told():
    with pytest.raises(InputError, match=r"own-1: log\(0 - a\) is finite on 0 of 20,000 points"):
        sample(replace(CASE, formula="log(0 - a)", points=20), 0)


def test_noise_is_relative_to_the_root_mean_square():
    case = replace(CASE, points=20_000)
    _, y = sample(case, 0)
    dirty, spread = noisy(case, 0, y, 0.1)
    assert spread == pytest.approx(0.1 * np.sqrt(np.mean(y**2)))
    assert np.std(dirty - y) == pytest.approx(spread, rel=0.02)  # 4 standard deviations
    assert np.array_equal(noisy(case, 0, y, 0.0)[0], y)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2*a^2*b/(b+3)", True),
        ("a*a*(b+b)/(3+b)", True),
        ("2*a^2 - 6*a^2/(b+3)", True),
        ("2*a^2*b/(b+3.0001)", False),
        ("2*a^2*b/(b+3) + 0.0000001", False),
    ],
)
def test_one_function(text: str, same: bool):
    assert same_law(found(text), truth(CASE), CASE) is same


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("1.998*a^2*b/(b+2.99)", True),  # its numbers are free
        ("0.6655*a*a*b/(0.3333*b+1.001)", True),  # however they are written
        ("2.001*a^2*b/(b+2.99) + 0.004", False),  # a term too many
        ("2.2*a^2*b/(b+3.3)", False),  # further away than noise explains
        ("0.1786*a^2*(b + 2.13)", False),  # no such form
    ],
)
def test_one_form_on_noisy_data(text: str, same: bool):
    data = sampled(CASE, 0, 0.02)
    one = found(text)
    assert same_form(one, truth(CASE), CASE, data.x, data.clean, data.spread) is same
    assert is_law(one, CASE, data) is same
    assert not is_law(one, CASE, sampled(CASE, 0, 0.0))  # without noise the numbers count


def test_size_counts_nodes():
    assert size(found("a*b")) == 3
    assert size(found("2*a^2*b")) == 6


def test_runs_are_kept_and_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls: list[tuple[str, int, Setting]] = []

    def fake(case: Case, seed: int, setting: Setting, options: Options) -> Outcome:
        calls.append((case.name, seed, setting))
        return replace(OUTCOME, r2=-np.inf)

    monkeypatch.setattr(be, "run", fake)
    monkeypatch.setattr(be, "warm_up", lambda case, options: None)
    file = tmp_path / "runs.jsonl"
    cases, plan = cases_of("r"), be.Plan(seeds=2, kept=file)
    rows = list(be.made(cases, [be.OURS], [Setting(5.0)], plan, Options()))
    assert len(rows) == len(calls) == 6 == len(file.read_text().splitlines())
    more = list(be.made(cases, [be.OURS], [Setting(5.0), Setting(5.0, noise=0.1)], plan, Options()))
    assert more[:6] == rows and len(calls) == 12
    file.write_text("{}\n")
    with pytest.raises(InputError, match="not a file of runs"):
        list(be.made(cases, [be.OURS], [Setting(5.0)], plan, Options()))


def test_the_comparison_counts_what_is_equal_to_rounding():
    def row(who: str, case: str, r2: float, nodes: int) -> be.Row:
        outcome = replace(OUTCOME, r2=r2, size=nodes)
        return be.Row(who, "s", case, 0, Setting(), 20, outcome)

    rows = [row(be.OURS, "1", 1 - 1e-15, 5), row(be.PEER, "1", 1 - 1e-13, 9)]
    rows += [row(be.OURS, "2", 0.9, 7), row(be.PEER, "2", 0.8, 9), row(be.OURS, "3", 0.1, 1)]
    (text,) = be.beside(rows)
    assert text.startswith("of 2 fits ours has the better R2 on held-out points in 1")
    assert "in 1; median size 6 against 9" in text
    assert be.beside([rows[0]]) == []
    lost = be.described(row(be.OURS, "1", -np.inf, 5))["outcome"]
    assert lost["r2"] is None and lost["nmse"] == 0.0 and lost["recovered"] is True
    assert be.summary(rows)[0] | {"seconds": 0} == {
        "suite": "s", "who": "designer", "runs": 3, "recovered": 3, "front": 3, "seconds": 0,
        "evaluations": 10.0, "accurate": 1, "size": 5.0,
    }  # fmt: skip


def test_every_row_of_the_ablation_is_a_campaign_of_its_own(tmp_path: Path):
    rows = settings(Setting(units=True))
    assert len(set(rows.values())) == len(rows) == 12 == len(settings(Setting())) + 1
    data = sampled(CASE, 0, 0.0)
    for setting in rows.values():
        assert _campaign(CASE, 0, setting, Options(), data, tmp_path).settings.clock == "processor"


def test_without_sharing_equal_parts_are_computed_again_to_the_same_values():
    tokens = library("koza", ["x"])
    rows = [tokens.operator_ids["sin"], tokens.leaf_ids["x"]]
    trees = read(torch.tensor([rows, rows]), tokens)
    x = torch.linspace(-1, 1, 5, dtype=torch.float64).unsqueeze(1)
    shared = fitting.build(trees, tokens)
    with _apart():
        apart = fitting.build(trees, tokens)
    assert (shared.size, apart.size) == (2, 4) and fitting.build is graph.build
    for made in (shared, apart):
        values = graph.values(made, x)[made.roots]
        assert torch.equal(values, x.squeeze(1).sin().expand(2, 5))


def test_a_listed_law_is_recovered_with_its_units(tmp_path: Path, capsys: pytest.CaptureFixture):
    file = tmp_path / "laws.csv"
    file.write_text(LIST)
    (case,) = cases_of(str(file))
    assert case.units == ("1;0;0;0;0", "0;1;0;0;0", "1;-1;0;0;0")
    outcome = run(case, 0, Setting(limit=20.0, units=True), Options())
    assert outcome.recovered and outcome.exact and outcome.found == "d/t" and outcome.size == 5
    assert outcome.r2 == pytest.approx(1.0)
    kept = tmp_path / "kept.jsonl"
    plan = be.Plan((str(file),), setting=Setting(limit=20.0), kept=kept)
    be.bench(plan, Options(as_json=True))
    said = json.loads(capsys.readouterr().out)
    assert said["summary"][0]["recovered"] == 1 and said["runs"][0]["outcome"]["found"] == "d/t"
    be.bench(plan, Options())
    told = capsys.readouterr().out.splitlines()
    assert "recovered" in told[0] and told[-1].startswith("| laws | designer | 1 of 1 (100.0%)")
