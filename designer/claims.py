"""What each member of the family claims, written a second time, from its definition.

A claim is the exact gradient of an aim, by autograd through the sum over all designs; a known
bias is the expected gradient that a biased member has instead.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from designer import credit, masking
from designer.audit import PLAIN, Bench, Gradient, Member
from designer.counterfactual import ActionCritic, agents_of
from designer.learner import Learner
from designer.learning import LearnerSettings


def members() -> list[Member]:
    """Return every member of the family."""
    return [*_plain(), *_critics(), *_scaled(), *_risk(), *_likelihoods()]


def _plain() -> list[Member]:
    return [
        Member("reinforce", _with(baseline="none"), mean),
        Member("reward to go", _with(baseline="none"), paid, steps_pay=True),
        Member("running mean", _with(baseline="running_mean"), mean, prepare=_remember),
        Member("leave one out, k = 2", _with(), mean),
        Member("leave one out, k = 3", _with(), mean, k=3),
        Member("batch mean", _with(baseline="batch_mean"), mean, "known bias", _short, k=3),
        Member("ppo, first step", _with(epochs=2), mean),
        Member("discount 0.9", _with(baseline="none", gamma=0.9), _discounted, "known bias",
               lambda bench, k: _expected(bench, _late(bench, 0.9))),
        Member("entropy bonus 0.3", _with(baseline="none", entropy=0.3), _spread, "known bias",
               lambda bench, k: mean(bench) + 0.3 * _visited(bench)),
        Member("potential shaping", _with(baseline="none", shaping=2.5), mean),
        Member("mean over the length", _with(baseline="none", per_step=True), mean, "known bias",
               lambda bench, k: _expected(bench, bench.toy.reward / _lengths(bench))),
    ]  # fmt: skip


def _critics() -> list[Member]:
    td: dict[str, Any] = {"baseline": "critic", "gae_lambda": 0.0}
    coma: dict[str, Any] = {"baseline": "counterfactual", "agents": 2, "agent_steps": 1}
    return [
        Member("critic, lambda 1", _with(baseline="critic"), mean),
        Member("critic, lambda 0.5", _with(baseline="critic", gae_lambda=0.5), mean, "known bias",
               lambda bench, k: mean(bench) + _misjudged(bench, 0.5)),
        Member("actor-critic, TD error", _with(**td), mean, "known bias",
               lambda bench, k: mean(bench) + _misjudged(bench, 0.0)),
        Member("TD error, true value", _with(**td), mean, true_value=True),
        Member("TD error, own step size", _with(**td, critic_lr=1e-30), mean, true_value=True),
        Member("TD error, shaped", _with(**td, shaping=1.5), mean, "known bias",
               lambda bench, k: mean(bench) + _misjudged(bench, 0.0, 1.5)),
        Member("coma, return", _with(**coma), mean, prepare=_opinions),
        Member("coma, critic's own word", _with(**coma, gae_lambda=0.0), mean, "known bias",
               lambda bench, k: _expected(bench, _opinion(bench)), prepare=_opinions),
        Member("natural gradient", _with(baseline="none", natural=True, damping=1e-3), _natural,
               "large batch"),
    ]  # fmt: skip


def _scaled() -> list[Member]:
    grouped = _with(baseline="group_scaled")
    return [
        Member("advantages normalised", _with(normalise=True, baseline="none"), _whitened,
               "large batch"),
        Member("grpo", grouped, _whitened, "large batch"),
        Member("dr. grpo", _with(baseline="batch_mean", epochs=2), mean, "known bias", _short),
        Member("dr. grpo, leave one out", _with(epochs=2), mean),
    ]  # fmt: skip


def _risk() -> list[Member]:
    quantile = _with(baseline="quantile", epsilon=0.5)
    out = [Member("upper quantile 0.5", quantile, upper_tail, "large batch", k=3)]
    for eta in (2.0, -2.0):
        settings = _with(baseline="entropic", eta=eta)
        out.append(
            Member(f"exponential utility, eta {eta:g}", settings, _utility(eta), "large batch")
        )
    for k, best in ((2, 1), (3, 2), (3, 3)):
        settings = _with(baseline="max_at_k", best_of=best)
        out.append(Member(f"max@{best} of {k}", settings, best_of(best), k=k))
    return [
        *out,
        Member("worst case, KL ball 0.1", _with(baseline="kl_ball"), worst_case(0.1),
               "large batch"),
        Member("mean - variance", _with(baseline="mean_variance", risk=0.7), _steady,
               "large batch"),
    ]  # fmt: skip


def _likelihoods() -> list[Member]:
    plain = _with(baseline="none", kl_weight=0.3)
    reinvent = _with(loss="augmented", sigma=2.0)
    balance = _with(loss="trajectory_balance", sigma=2.0)
    untilted = _with(loss="trajectory_balance", sigma=2.0, tilt=False)
    return [
        Member("KL to the prior", plain, _near, needs_prior=True),
        Member("reinvent, augmented likelihood", reinvent, _tilting, needs_prior=True),
        Member("trajectory balance", balance, _balancing),
        Member("trajectory balance, prior", balance, _tilting, needs_prior=True),
        Member("trajectory balance, prior not used", untilted, _balancing, needs_prior=True),
    ]


# --- the aims ------------------------------------------------------------------------------------


def mean(bench: Bench) -> Tensor:
    """Return the gradient of the expected reward."""
    return bench.toy.gradient((bench.toy.share * bench.toy.reward).sum())


def paid(bench: Bench) -> Tensor:
    """Return the gradient of the expected sum of what the steps pay."""
    return bench.toy.gradient((bench.toy.share * bench.paid.sum(1)).sum())


def upper_tail(bench: Bench, epsilon: float = 0.5) -> Tensor:
    """Return the gradient of the mean of the best share `epsilon`."""
    order = bench.toy.reward.argsort(descending=True)
    share, reward = bench.toy.share[order], bench.toy.reward[order]
    before = share.cumsum(0) - share
    taken = torch.minimum(share, (epsilon - before).clamp_min(0.0))
    return bench.toy.gradient((taken * reward).sum() / epsilon)


def best_of(k: int) -> Gradient:
    """Return the gradient of the expected best of k draws, from the distribution's k-th power."""

    def claim(bench: Bench) -> Tensor:
        order = bench.toy.reward.argsort()
        below = bench.toy.share[order].cumsum(0)
        power = below**k - torch.cat([torch.zeros(1), below[:-1]]) ** k
        return bench.toy.gradient((power * bench.toy.reward[order]).sum())

    return claim


def worst_case(radius: float) -> Gradient:
    """Return the gradient of the least mean within `radius` nats, by its dual."""

    def claim(bench: Bench) -> Tensor:
        slope = tilt(bench.toy.weight.tolist(), bench.toy.reward.tolist(), radius)
        utility = (bench.toy.share * (-slope * bench.toy.reward).exp()).sum()
        return bench.toy.gradient(-utility.log() / slope)

    return claim


def tilt(share: list[float], reward: list[float], radius: float) -> float:
    """Return t > 0 with KL(q | p) = radius for q in proportion to p e^{-t R}, by bisection."""
    low, high = 0.0, 1e6
    for _ in range(300):
        t = (low + high) / 2
        lowest = min(reward)
        mass = [p * math.exp(-t * (r - lowest)) for p, r in zip(share, reward, strict=True)]
        total = math.fsum(mass)
        pairs = zip(mass, share, strict=True)
        far = math.fsum(m / total * math.log(m / total / p) for m, p in pairs if m > 0)
        low, high = (low, t) if far > radius else (t, high)
    return low


def _utility(eta: float) -> Gradient:
    def claim(bench: Bench) -> Tensor:
        utility = (bench.toy.share * (eta * bench.toy.reward).exp()).sum()
        return bench.toy.gradient(utility.log() / eta)

    return claim


def _steady(bench: Bench) -> Tensor:
    share, reward = bench.toy.share, bench.toy.reward
    first = (share * reward).sum()
    return bench.toy.gradient(first - 0.7 * ((share * reward.square()).sum() - first.square()))


def _whitened(bench: Bench) -> Tensor:
    weight, reward = bench.toy.weight, bench.toy.reward
    centre = (weight * reward).sum()
    return mean(bench) / (weight * (reward - centre).square()).sum().sqrt()


def _natural(bench: Bench) -> Tensor:
    fisher = bench.score.T @ (bench.toy.weight.unsqueeze(1) * bench.score)
    damped = fisher + 1e-3 * torch.eye(len(fisher), dtype=fisher.dtype)
    solved: Tensor = torch.linalg.solve(damped, mean(bench))
    return solved


def _discounted(bench: Bench) -> Tensor:
    worth = 0.9 ** (_lengths(bench) - 1) * bench.toy.reward
    return bench.toy.gradient((bench.toy.share * worth).sum())


def _spread(bench: Bench) -> Tensor:
    entropy = -(bench.toy.share * bench.toy.log_prob).sum()
    return mean(bench) + 0.3 * bench.toy.gradient(entropy)


def _near(bench: Bench) -> Tensor:
    far = (bench.toy.share * (bench.toy.log_prob - bench.theirs)).sum()
    return mean(bench) - 0.3 * bench.toy.gradient(far)


def _tilting(bench: Bench) -> Tensor:
    return _towards(bench, bench.theirs + 2.0 * bench.toy.reward)


def _balancing(bench: Bench) -> Tensor:
    return _towards(bench, 2.0 * bench.toy.reward)


def _towards(bench: Bench, logits: Tensor) -> Tensor:
    """Return -2 grad KL(pi | softmax(logits))."""
    aim = torch.log_softmax(logits, dim=0)
    return -2.0 * bench.toy.gradient((bench.toy.share * (bench.toy.log_prob - aim)).sum())


# --- the known biases ----------------------------------------------------------------------------


def _short(bench: Bench, k: int) -> Tensor:
    return (k - 1) / k * mean(bench)


def _expected(bench: Bench, credited: Tensor) -> Tensor:
    """Return E[sum over steps of credit times grad log pi], credit [N] or [N, T]."""
    credited = credited if credited.dim() == 2 else credited.unsqueeze(1)
    terms = (bench.toy.trajectory.log_prob * credited).sum(1)
    return bench.toy.gradient((bench.toy.weight * terms).sum())


def _late(bench: Bench, gamma: float) -> Tensor:
    active = bench.toy.trajectory.active
    left = _lengths(bench).unsqueeze(1) - 1 - torch.arange(active.shape[1])
    return gamma ** left.clamp_min(0) * bench.toy.reward.unsqueeze(1) * active


def _visited(bench: Bench) -> Tensor:
    weight, entropy = bench.toy.weight, bench.toy.trajectory.entropy
    return bench.toy.gradient((weight * entropy.sum(1)).sum())


def _misjudged(bench: Bench, lam: float, shaping: float = 0.0) -> Tensor:
    """Return the bias of a critic that is wrong: its error's own advantages, credited.

    A potential moves the true value by -shaping times itself, so the same critic errs by that
    much more.
    """
    wrong = bench.toy.trajectory.value.detach() - bench.value
    wrong = wrong + shaping * bench.potential[:, :-1] * bench.toy.trajectory.active
    return _expected(bench, credit.gae(torch.zeros_like(wrong), wrong, lam=lam))


def _opinion(bench: Bench) -> Tensor:
    """Return [N, T] what the critic of actions says of the actions taken."""
    settings = _with(baseline="counterfactual", agents=2, agent_steps=1)
    learner = Learner(bench.toy.policy, settings)
    _opinions(learner)
    trajectory = bench.toy.fixed
    values = learner.extras["critic"](trajectory.observations, agents_of(trajectory, 2, 1))
    return (masking.chosen(values, trajectory.actions) * trajectory.active).detach()


def _lengths(bench: Bench) -> Tensor:
    return bench.toy.trajectory.active.sum(1).double()


def _remember(learner: Learner) -> None:
    """Let the running mean have seen something."""
    state = learner.baseline.state_dict()
    learner.baseline.load_state_dict({"mean": state["mean"] + 0.63, "mass": state["mass"] + 0.9})


@torch.no_grad()
def _opinions(learner: Learner) -> None:
    """Give the critic of actions opinions, wrong ones."""
    generator = torch.Generator().manual_seed(7)
    critic = learner.extras["critic"]
    assert isinstance(critic, ActionCritic)
    for parameter in critic.head.parameters():
        parameter.normal_(0.0, 0.5, generator=generator)


def _with(**settings: Any) -> LearnerSettings:
    return LearnerSettings(**{**PLAIN, **settings})
