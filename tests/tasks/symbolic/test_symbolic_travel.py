"""Expressions go to other processes and come back the same, although operators hold lambdas."""

from __future__ import annotations

from multiprocessing.reduction import ForkingPickler
from pickle import loads

import torch

from tasks.symbolic.language.library import library
from tasks.symbolic.language.operators import OPERATORS, Operator


def test_built_in_operators_are_the_very_same_there() -> None:
    for operator in OPERATORS.values():
        assert loads(ForkingPickler.dumps(operator)) is operator


def test_an_operator_of_ones_own_travels_where_its_functions_do() -> None:
    mine = Operator("gauss", 1, torch.exp, cost=4)
    assert loads(ForkingPickler.dumps(mine)) == mine


def test_a_library_leaves_what_it_worked_out_at_home() -> None:
    mine = library("default", ("x", "y"))
    hash(mine)
    there = loads(ForkingPickler.dumps(mine))
    assert there == mine and "_hash" not in vars(there) and hash(there) == hash(mine)
