"""One graph for a whole batch of expressions, evaluated operator by operator in big tensors.

Equal subexpressions of the batch are one node. Nodes without constants (static) come first and
are evaluated once; nodes that hold a constant (varying) belong to one expression each, so that
their part of the graph is a forest, through which derivatives flow back without any summing.
Nodes are ordered by height and operator: each group is a slice of one [M, P] tensor.

Letters in shapes: M nodes, N expressions, P data points, K constants of the richest expression.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.symbolic.language.library import Library
from tasks.symbolic.language.trees import PAD, Trees, arities


@dataclass(frozen=True)
class Group:
    """Nodes `start:stop`, all of one token and height; `first`, `second` are their arguments.

    `varying` tells of each argument whether it holds a constant, alike for all of the group.
    """

    token: int
    start: int
    stop: int
    first: Tensor  # [stop - start] int64
    second: Tensor
    varying: tuple[bool, bool]


@dataclass(frozen=True)
class Graph:
    """The batch as nodes. `leaves[n, k]` is the node of expression n's k-th constant, or M.

    `where[t, n]` is the node that the subtree beginning at token t of expression n became.
    """

    library: Library
    size: int  # M
    static: int  # nodes before this one hold no constant
    groups: tuple[Group, ...]
    roots: Tensor  # [N] int64
    leaves: Tensor  # [N, K] int64
    where: Tensor  # [L, N] int64


def build(trees: Trees, library: Library, constants: int | None = None) -> Graph:
    """Return the shared graph of N expressions; `constants` is K where it is already known."""
    L, N = trees.tokens.shape
    device = trees.tokens.device
    real = trees.tokens != PAD
    index = torch.arange(L * N, device=device).view(L, N)
    # a varying node is its own; the multiplication keeps its identity apart from hashes
    identity = torch.where(trees.varying, ~index * -7046029254386353131, trees.hashes[0])
    _, node = torch.unique(identity[real], return_inverse=True)
    count = int(node.max()) + 1 if node.numel() else 0
    # each node is represented by its lowest occurrence, so that arguments lie lower still
    place = torch.full((count,), torch.iinfo(torch.int64).max, device=device)
    place.scatter_reduce_(0, node, (trees.height * (L * N) + index)[real], "amin")
    place %= L * N
    flat = [part.flatten()[place] for part in (trees.tokens, trees.height, trees.varying)]
    token, height, varying = flat
    code = (varying * (L + 1) + height) * (len(library) + 1) + token
    arity = arities(library, device)[token]
    for i, child in enumerate((trees.first, trees.second)):
        holds = _at(trees.varying, child.flatten()[place], place % N)
        code = code * 2 + holds * (arity > i)
    code, order = torch.sort(code)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(count, device=device)
    where = torch.zeros(L, N, dtype=torch.int64, device=device)
    where[real] = rank[node]
    column = place[order] % N
    first = _at(where, trees.first.flatten()[place[order]], column)
    second = _at(where, trees.second.flatten()[place[order]], column)
    leaves = _leaves(trees, library, where, count, constants)
    groups = _groups(code, first, second, len(library) + 1)
    static = count - int(varying.sum())
    return Graph(library, count, static, groups, where[0], leaves, where)


def values(graph: Graph, x: Tensor, constants: Tensor | None = None) -> Tensor:
    """Return [M + 1, P] every node's value, and a row of no meaning that absent constants share.

    `x` is [P, V], `constants` [N, K].
    """
    out = x.new_empty(graph.size + 1, x.shape[0])
    fill(graph, out, x, constants, 0)
    return out


def fill(graph: Graph, out: Tensor, x: Tensor, constants: Tensor | None, since: int) -> None:
    """Compute the nodes from `since` on into `out` [M + 1, P]; those before are taken as done."""
    library = graph.library
    if constants is not None:
        out[graph.leaves.flatten()] = constants.flatten().unsqueeze(1)
    for group in graph.groups:
        if group.start < since:
            continue
        here = out[group.start : group.stop]
        if group.token < library.first_variable:
            operator = library.operators[group.token]
            a = out.index_select(0, group.first)
            if operator.arity == 1:
                here.copy_(operator.function(a))
            else:
                here.copy_(operator.function(a, out.index_select(0, group.second)))
        elif group.token < library.first_literal:
            here.copy_(x[:, group.token - library.first_variable].expand_as(here))
        elif group.token < library.constant_id:
            here.fill_(library.values[group.token - library.first_literal])


def _at(table: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Return table[row, column] of an [L, N] table, for many places at once."""
    return table.flatten()[row * table.shape[1] + column]


def _leaves(
    trees: Trees, library: Library, where: Tensor, count: int, constants: int | None
) -> Tensor:
    is_constant = trees.tokens == library.constant_id
    N = trees.tokens.shape[1]
    if constants is None:
        constants = int(is_constant.sum(0).max()) if is_constant.numel() else 0
    leaves = torch.full((N, constants), count, device=where.device)
    t, n = is_constant.nonzero(as_tuple=True)
    leaves[n, trees.ordinal[t, n]] = where[t, n]
    return leaves


def _groups(code: Tensor, first: Tensor, second: Tensor, tokens: int) -> tuple[Group, ...]:
    distinct, counts = torch.unique_consecutive(code, return_counts=True)
    out, start = [], 0
    for value, size in zip(distinct.tolist(), counts.tolist(), strict=True):
        stop = start + size
        token, flags = value // 4 % tokens, (bool(value & 2), bool(value & 1))
        here = slice(start, stop)
        out.append(Group(token, start, stop, first[here], second[here], flags))
        start = stop
    return tuple(out)
