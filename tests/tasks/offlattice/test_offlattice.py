"""The AB model: energies against a plain recount, geometry, symmetry, relaxation, the task."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from designer.errors import InputError
from designer.policy import RecurrentPolicy
from designer.testing import check_environment, check_oracle, check_policy, check_proposer
from oracles.offlattice import AbEnergy
from tasks.offlattice import kernels
from tasks.offlattice.design import Conformation, conformations, fibonacci, parse_chain
from tasks.offlattice.energy import MODELS, energy, positions
from tasks.offlattice.proposer import Relaxation, strengths
from tasks.offlattice.task import task

CHAIN = fibonacci(13)


def angles(model: str, count: int = 6, length: int = 13, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0.0, 1.2, size=(count, length - 2, MODELS[model]))


def plain_points(row: Any, model: str) -> list[list[float]]:
    """Return points by plain loops; in space by the placing rule of three earlier points."""
    if model == "2d":
        heading, points = 0.0, [[0.0, 0.0], [1.0, 0.0]]
        for (theta,) in row:
            heading += theta
            points.append([points[-1][0] + math.cos(heading), points[-1][1] + math.sin(heading)])
        return points
    if model == "3d-azimuth":
        points = [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
        for t, (theta, beta) in enumerate(row):
            beta = beta if t else 0.0
            bond = (math.cos(theta) * math.cos(beta), math.sin(theta) * math.cos(beta))
            points.append([points[-1][0] + bond[0], points[-1][1] + bond[1], 0.0])
            points[-1][2] = points[-2][2] + math.sin(beta)
        return points
    # a residue before the first, so that the first turn lies in the plane of x and y
    bend, points = 1.0, [[-1.0, -1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    for t, (theta, phi) in enumerate(row):
        a, b, c = (np.array(p) for p in points[-3:])
        u = (c - b) / np.linalg.norm(c - b)
        back = (b - a) - np.dot(b - a, u) * u  # away from the residue before, within the plane
        n = back / np.linalg.norm(back)
        if t:  # the frame is carried on: its normal turns with the sign of the last bend
            n = -bend * n
        phi = phi if t else 0.0
        aside = math.cos(phi) * n + math.sin(phi) * np.cross(u, n)
        points.append(list(c + math.cos(theta) * u + math.sin(theta) * aside))
        bend = 1.0 if math.sin(theta) > 0 else -1.0
    return points[1:]


def plain_energy(points: list[list[float]], bends: list[float]) -> float:
    total = sum((1.0 - math.cos(bend)) / 4.0 for bend in bends)
    for i in range(len(points)):
        for j in range(i + 2, len(points)):
            r = math.dist(points[i], points[j])
            c = {"AA": 1.0, "BB": 0.5}.get(CHAIN[i] + CHAIN[j], -0.5)
            total += 4.0 * (r**-12 - c * r**-6)
    return total


def test_the_chain_of_fibonacci() -> None:
    assert CHAIN == "ABBABBABABBAB" and len(fibonacci(34)) == 34
    assert fibonacci(21) == fibonacci(8) + fibonacci(13) and parse_chain("Fibonacci-5") == "ABBAB"
    for bad in ("ABC", "AB", "fibonacci 14", "fibonacci 999999"):
        with pytest.raises(InputError):
            parse_chain(bad)


@pytest.mark.parametrize("model", MODELS)
def test_the_energy_is_that_of_a_plain_recount(model: str) -> None:
    rows = angles(model)
    found = energy(torch.from_numpy(rows), CHAIN, model)
    for row, value in zip(rows, found.tolist(), strict=True):
        points = plain_points(row, model)
        assert np.allclose(
            np.array(points), positions(torch.from_numpy(row), model).numpy(), atol=1e-12
        )
        assert plain_energy(points, row[:, 0].tolist()) == pytest.approx(value, rel=1e-9)


def test_the_models_in_space_bend_by_different_angles() -> None:
    """The bending term of 3d-angle is the angle between bonds; that of 3d-azimuth is not."""
    for model, same in (("3d-angle", True), ("3d-azimuth", False)):
        rows = torch.from_numpy(angles(model))
        points = positions(rows, model)
        bonds = points[:, 1:] - points[:, :-1]
        assert torch.allclose(bonds.norm(dim=-1), torch.ones(()).double(), atol=1e-12)
        between = (bonds[:, 1:] * bonds[:, :-1]).sum(-1)
        assert torch.allclose(between, rows[..., 0].cos(), atol=1e-9) is same


@pytest.mark.parametrize("model", MODELS)
def test_gradients_are_those_of_small_differences(model: str) -> None:
    rows = torch.from_numpy(angles(model, count=2, length=6) * 0.4).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: energy(x, "ABBAB" + "A", model), rows, rtol=1e-4)


@pytest.mark.parametrize("model", MODELS)
def test_one_design_of_all_its_images(model: str) -> None:
    rows = angles(model)
    mirrored = rows.copy()
    mirrored[:, :, 0 if model == "2d" else 1] *= -1.0
    first, second = conformations(rows, CHAIN, model), conformations(mirrored, CHAIN, model)
    assert [one.key for one in first] == [one.key for one in second]
    turned = conformations(rows + 2 * math.pi, CHAIN, model)
    assert [one.key for one in turned] == [one.key for one in first]
    raw = energy(torch.from_numpy(rows), CHAIN, model).tolist()
    for one, value in zip(first, raw, strict=True):
        assert one.energy == pytest.approx(value, rel=1e-4)  # rounded to a billionth of a radian
        assert conformations(one.array[None], CHAIN, model) == [one]
        assert task(CHAIN, model).parse(one.text) == one


@pytest.mark.parametrize("model", MODELS)
def test_the_contracts(model: str) -> None:
    made = task(CHAIN, model, relaxation=5)
    env: Any = made.environment
    check_environment(env)
    rows = conformations(angles(model), CHAIN, model)
    check_oracle(AbEnergy(CHAIN, model), rows)
    check_proposer(made.proposer, rows)  # type: ignore[arg-type]
    assert "energy" in made.show(rows[0]) and made.draw(rows).startswith("<svg")
    four = made.draw([rows[0]] * 4)
    assert 'width="900" height="600"' in four and "translate(0 300)" in four  # three a row
    policy = RecurrentPolicy(env.obs_size, 1, hidden=8, seed=0, num_values=env.num_values)
    check_policy(policy, env)


@pytest.mark.parametrize("model", MODELS)
def test_the_compiled_energy_is_the_same_and_so_is_its_gradient(model: str) -> None:
    rows = angles(model, count=4) * 0.5
    kind, strength = list(MODELS).index(model), strengths(CHAIN)
    for row in rows:
        held = torch.from_numpy(row).requires_grad_(True)
        value = energy(held, CHAIN, model)
        (exact,) = torch.autograd.grad(value, held)
        slope = np.empty(row.size)
        found = kernels.valued(row.reshape(-1), kind, strength, slope)
        assert found == pytest.approx(float(value.detach()), rel=1e-12)
        assert np.allclose(slope, exact.numpy().reshape(-1), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_a_turned_part_leaves_the_rest_as_it_lies(model: str) -> None:
    row, kind = 0.4 * angles(model, count=1)[0].reshape(-1), list(MODELS).index(model)
    bonds, after = np.empty((12, 3)), np.empty((12, 3))
    axes, back = np.empty((11, 3)), np.empty(row.size)
    kernels.laid(row, kind, bonds, axes)
    kernels.measured(bonds, kind, back)
    slope = np.empty(row.size)
    same = [kernels.valued(x, kind, strengths(CHAIN), slope) for x in (row, back)]
    assert same[0] == pytest.approx(same[1], rel=1e-9)
    for _ in range(20):
        kernels.laid(kernels.cranked(row, kind, 1.0), kind, after, axes)
        ends = [np.linalg.norm(b.sum(0)) for b in (bonds, after)]
        assert ends[0] == pytest.approx(ends[1], abs=1e-9)
        assert np.allclose(np.linalg.norm(after, axis=1), 1.0)


def test_a_descent_ends_at_rest_and_never_higher() -> None:
    strength, slope = strengths(CHAIN), np.empty(11)
    for row in angles("2d", count=20).reshape(20, -1):
        x = row.copy()
        before = kernels.valued(x, 0, strength, slope)
        value, computed = kernels.descend(x, 0, strength, 500, 1e-13)
        assert value <= before and computed >= 1
        assert kernels.valued(x, 0, strength, slope) == value
        if value < 0:
            assert np.linalg.norm(slope) < 1e-2


class Purse:
    """Counts what is spent of a limit."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, evaluations: int) -> None:
        self.left -= evaluations


def test_the_search_never_spends_more_than_there_is() -> None:
    parents = conformations(angles("2d"), CHAIN, "2d")
    for room in (10, 100, 1000):
        purse = Purse(room)
        proposer = Relaxation(10, purse=purse)  # type: ignore[arg-type]
        proposer(parents, 16, np.random.default_rng(0))
        assert 0 <= purse.left <= room
    assert purse.left < 1000


# Found by the search of this package; the energies are those published (Boskovic and Brest 2018
# for the azimuth; Liang 2004 and later work for the others).
MINIMA: dict[str, tuple[str, float]] = {
    "2d fibonacci 13": (
        "1.491430782 1.500044202 -0.868737065 1.479635335 1.519104587 -1.465874192 "
        "1.953258392 -1.448788593 1.516524580 1.482794698 -1.041559066",
        -3.2941,
    ),
    "3d-angle fibonacci 13": (
        "1.506222904 1.489278485/0.009295301 0.846793471/2.951183285 "
        "1.474204908/-2.541622419 1.524363470/-0.019070936 1.673493583/-2.555824320 "
        "1.955852437/2.648445683 1.660169680/-2.459468616 1.518279667/1.712994073 "
        "1.484687203/-0.176550549 1.791775111/-1.935428916",
        -4.9746,
    ),
}


@pytest.mark.parametrize("name", MINIMA)
def test_published_minima(name: str) -> None:
    model, chain = name.split(maxsplit=1)
    text, wanted = MINIMA[name]
    made = task(chain, model)
    assert made.parse(text).energy == pytest.approx(wanted, abs=5e-5)


def test_the_search_finds_the_published_minimum_of_a_short_chain() -> None:
    """3d-azimuth, 13 residues: -6.9961."""
    made, rng = task(CHAIN, "3d-azimuth"), np.random.default_rng(1)
    pool: list[Conformation] = list(made.examples)
    for _ in range(4):
        found = [*pool, *made.proposer(pool, 32, rng)]  # type: ignore[misc]
        pool = sorted({round(c.energy, 3): c for c in found}.values(), key=lambda c: c.energy)[:32]
        if pool[0].energy < -6.9961 + 5e-5:
            break
    assert pool[0].energy == pytest.approx(-6.9961, abs=1e-4)


@pytest.mark.parametrize(
    "sequence,model,hint", [("ABX", "2d", "position 3"), ("ABBA", "3d", "unknown model")]
)
def test_bad_input(sequence: str, model: str, hint: str) -> None:
    with pytest.raises(InputError, match=hint):
        task(sequence, model)


def test_bad_texts_and_foreign_designs() -> None:
    made = task("ABBA", "3d-angle")
    for text, hint in (("1.0", "1 angles"), ("1.0 2.0", "angle 2"), ("1.0/2 2/3", "angle 1")):
        with pytest.raises(InputError, match=hint):
            made.parse(text)
    with pytest.raises(InputError, match="ABBA"):
        AbEnergy("ABBAB", "3d-angle")(list(made.examples))
