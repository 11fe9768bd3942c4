"""Which finished expressions the mask would write, for a whole batch without walking it.

Every rule is looked up at all nodes at once. The mask lets a rule go where it would leave no
token at all; here rules never yield, so what passes here passes the mask, and a few that the
mask would write do not pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tasks.symbolic.language.trees import PAD, Trees
from tasks.symbolic.mask.rules import Rules

if TYPE_CHECKING:
    from tasks.symbolic.mask.environment import Expressions


def lawful(trees: Trees, env: Expressions, rule: Rules) -> Tensor:
    """Return [N] bool. The trees are of complete expressions in the environment's library."""
    tokens, A = trees.tokens, env.num_actions
    N = tokens.shape[1]
    real = tokens != PAD
    token = torch.where(real, tokens, 0)
    arity = torch.where(real, rule.arity[token], 0)
    parent = _parents(trees, arity)
    above = torch.cat([token, token.new_full((1, N), A)]).gather(0, parent)
    fine = ~(rule.below[above, token] & real)
    fine &= ~((_context(token, parent, rule) & rule.group[token]) != 0) | ~real
    a, b = token.gather(0, trees.first), token.gather(0, trees.second)
    binary = arity == 2
    fine &= ~(binary & rule.fixed[a] & rule.fixed[b])
    fine &= ~(binary & rule.distinct[token] & (a == b) & (rule.arity[a] == 0))
    length = real.sum(0)
    good = fine.all(0) & (length <= env.max_length) & (length >= env.min_length)
    good &= (rule.constant[token] & real).sum(0) <= max(env.max_constants, env.coefficients)
    if env.max_depth:
        good &= trees.height[0] <= env.max_depth
    return good


def _parents(trees: Trees, arity: Tensor) -> Tensor:
    """Return [L, N] where each node's parent is, L for the root."""
    L, N = trees.tokens.shape
    parent = torch.full((L + 1, N), L, device=arity.device)
    place = torch.arange(L, device=arity.device).unsqueeze(1).expand(L, N)
    for child, least in ((trees.first, 1), (trees.second, 2)):
        parent.scatter_(0, torch.where(arity >= least, child, L), place)
    return parent[:L]


def _context(token: Tensor, parent: Tensor, rule: Rules) -> Tensor:
    """Return [L, N] the bits of the nesting groups that stand above each node."""
    L = len(token)
    own = torch.cat([rule.group[token], torch.zeros_like(token[:1])])
    above = torch.zeros_like(own)
    for t in range(1, L):
        at = parent[t : t + 1]
        above[t] = (above.gather(0, at) | own.gather(0, at))[0]
    return above[:L]
