"""A campaign document becomes the objects that run: one straight function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from cli.arms import with_proposers
from cli.kinds import Kinds
from cli.machine import Machine
from cli.prior import Prior, adapt
from designer.campaign import Campaign
from designer.config import Document
from designer.constraints import Constraint, refuse_contradictions
from designer.counterfactual import part_steps
from designer.differentiable import DIFFERENTIABLE
from designer.diversity import diversity_filter
from designer.errors import InputError
from designer.learner import LEARNERS, Learner, LearnerSettings
from designer.objective import Objective, Penalty, Term, identity
from designer.policy import POLICIES
from designer.protocols import Learns, Task
from designer.settings import Settings
from designer.signature import parameters
from designer.store import Store
from designer.suiting import suits
from designer.toml import Keys
from designer.transforms import TRANSFORMS
from oracles import OBJECTIVES, ORACLES, PENALTIES
from tasks import TASKS

TABLES = (
    "campaign", "machine", "task", "policy", "prior", "learner", "scoring", "objective", "penalty",
    "constraint", "proposer", "bandit",
)  # fmt: skip
PLAIN = ("campaign", "machine", "prior", "scoring", "bandit")  # tables without a kind
# any oracle may be a penalty and the other way round; where both have a name, their own wins
WANTED, COSTS = PENALTIES | ORACLES | OBJECTIVES, ORACLES | OBJECTIVES | PENALTIES


@dataclass(frozen=True)
class Parts:
    """Everything a campaign is made of, checked and ready."""

    task: Task
    policy: torch.nn.Module
    learner: Learns
    objective: Objective
    settings: Settings
    machine: Machine
    device: torch.device

    @property
    def biased(self) -> list[str]:
        """What is biased by design in this campaign, a line each."""
        return [*self.learner.biased, *self.settings.biased]

    def campaign(self, store: Store | None = None) -> Campaign:
        """Return a campaign that has not begun."""
        return Campaign(
            self.task, self.learner, self.objective, self.settings, store=store, device=self.device
        )


def build(document: Document, *, allow_plugins: bool = False) -> Parts:
    """Return the parts a document describes; raises ConfigError with the place of a fault."""
    document.known(TABLES)
    for name in PLAIN:
        if document.table((name, "kind")) is not None:
            raise document.error((name, "kind"), f"[{name}] takes no kind; leave it out")
    adapt(document)
    settings: Settings = document.build(("campaign",), Settings)
    machine: Machine = document.build(("machine",), Machine)
    with document.blamed(("machine",)):
        device = machine.resolve()
    torch.set_num_threads(machine.threads)
    use = Kinds(document, allow_plugins)
    task = build_task(document, allow_plugins=allow_plugins)
    task = with_proposers(document, task, settings, use.find)
    with document.blamed(("campaign",)):
        diversity_filter(task, settings)  # refused before a run directory is made for nothing
    shared = {**task.context, "workers": machine.workers, "device": str(device)}
    objective = build_objective(document, shared, allow_plugins=allow_plugins)
    policy = _policy(document, use, task, settings.seed).to(device)
    learner = _learner(document, use, policy, settings, task, objective)
    return Parts(task, policy, learner, objective, settings, machine, device)


def build_task(document: Document, *, allow_plugins: bool = False) -> Task:
    """Return the task of the `[task]` table."""
    use = Kinds(document, allow_plugins)
    make = use.find(("task",), TASKS)
    if "operator" not in parameters(make):
        task: Task = document.build(("task",), make)
        return task
    mine = [_operator(document, use, path) for path in document.tables(("task", "operator"))]
    task = document.build(("task",), make, {"operator": mine}, leave=("operator",))
    return task


def _operator(document: Document, use: Kinds, path: Keys) -> Any:
    """Return an operator of the user's for equations."""
    from tasks.symbolic.language.operators import own

    return document.build(path, own, {"function": use.find(path, {})})


def build_objective(
    document: Document, shared: Mapping[str, Any], *, allow_plugins: bool = False
) -> Objective:
    """Return the document's terms and penalties, put together as `[scoring]` says.

    `shared` is what oracles may ask for by parameter name.
    """
    use = Kinds(document, allow_plugins)
    wanted, costs, bounds = (document.tables((n,)) for n in ("objective", "penalty", "constraint"))
    if not wanted:
        raise document.error(("objective",), "the campaign needs at least one [[objective]] table")
    terms = [_term(document, use, path, shared) for path in wanted]
    penalties = [_penalty(document, use, path, shared) for path in costs]
    constraints = [_constraint(document, use, path, shared) for path in bounds]
    if constraints:
        with document.blamed(("constraint",)):
            refuse_contradictions(constraints)
    parts = {"terms": tuple(terms), "penalties": tuple(penalties)}
    parts["constraints"] = tuple(constraints)
    objective: Objective = document.build(("scoring",), Objective, parts)
    return objective


def build_judge(document: Document, path: Keys, task: Task, *, allow_plugins: bool = False) -> Any:
    """Return the one oracle or penalty at `path`."""
    use = Kinds(document, allow_plugins)
    return use.judge(path, {**task.context, "workers": 1}, WANTED)


def _policy(document: Document, use: Kinds, task: Task, seed: int) -> torch.nn.Module:
    make = use.find(("policy",), POLICIES, "recurrent")
    env = task.environment
    sizes = {"obs_size": env.obs_size, "num_actions": env.num_actions, "seed": seed}
    sizes["num_values"] = getattr(env, "num_values", 0)
    policy: torch.nn.Module = document.build(("policy",), make, sizes)
    return policy


def _learner(
    document: Document,
    use: Kinds,
    policy: Any,
    search: Settings,
    task: Task,
    objective: Objective,
) -> Learns:
    """Return the learner, beside the frozen policy of an earlier run where `[prior]` names one."""
    make = use.find(("learner",), LEARNERS | DIFFERENTIABLE, "reinforce")
    given = {"seed": search.seed} if document.table(("learner", "seed")) is None else {}
    settings: Any = document.build(("learner",), make, given)
    if hasattr(settings, "learner"):  # its gradient goes through the design
        if "prior" in document.data:
            raise document.error(("prior",), "this kind of learner has no prior; leave [prior] out")
        with document.blamed(("learner",)):
            return settings.learner(policy, task.environment, objective)  # type: ignore[no-any-return]
    if not isinstance(settings, LearnerSettings):
        raise document.error(
            ("learner",),
            f"this kind of learner is {type(settings).__name__}, expected learner settings, or an "
            "object with a method learner(policy, environment, objective)",
        )
    prior: Any = None
    if "prior" in document.data:
        earlier: Prior = document.build(("prior",), Prior)
        document.files["prior"] = earlier.file
        with document.blamed(("prior",)):
            prior = earlier.load(policy)
    with document.blamed(("learner",)):
        settings = suited(settings, task, search)
        return Learner(policy, settings, prior)


def suited(s: LearnerSettings, task: Task, search: Settings) -> LearnerSettings:
    """Return the settings with the parts of a design sized for the task.

    Raises InputError where they suit neither the task nor the size of the batches.
    """
    env = task.environment
    own = getattr(env, "num_agents", None) if hasattr(env, "agent") else None
    if s.baseline == "counterfactual":
        if own is not None:
            s = replace(s, agents=max(own, 1)) if own > 1 else s
        elif s.agent_steps == 0 and not hasattr(env, "agent"):
            s = replace(s, agent_steps=part_steps(s.agents, env.max_steps))
        if own is None and s.agent_steps >= env.max_steps:
            own = 1
    if s.shaping > 0 and not (hasattr(env, "potential") or hasattr(env, "reward")):
        raise InputError(
            f"learner: shaping is {s.shaping}, and task {task.name!r} has no potential to shape "
            "with; leave it out (folding has one)"
        )
    suits(s, search.batch_size, own)
    return s


def _term(document: Document, use: Kinds, path: Keys, shared: Mapping[str, Any]) -> Term:
    own = ("column", "weight", "transform", "ensemble")
    oracle = use.judge(path, shared, WANTED, own)
    shape: Any = identity
    if document.table((*path, "transform")) is not None:
        make = use.find((*path, "transform"), TRANSFORMS)
        shape = document.build((*path, "transform"), make)
    parts = {"oracle": oracle, "transform": shape}
    others = [key for key in document.table(path) if key not in ("column", "weight", "ensemble")]
    term: Term = document.build(path, Term, parts, leave=others)
    return term


def _penalty(document: Document, use: Kinds, path: Keys, shared: Mapping[str, Any]) -> Penalty:
    own = ("column", "weight")
    oracle = use.judge(path, shared, COSTS, own)
    others = [key for key in document.table(path) if key not in own]
    penalty: Penalty = document.build(path, Penalty, {"oracle": oracle}, leave=others)
    return penalty


def _constraint(
    document: Document, use: Kinds, path: Keys, shared: Mapping[str, Any]
) -> Constraint:
    own = tuple(f.name for f in fields(Constraint) if f.name != "oracle")
    oracle = use.judge(path, shared, COSTS, own)
    others = [key for key in document.table(path) if key not in own]
    bound: Constraint = document.build(path, Constraint, {"oracle": oracle}, leave=others)
    return bound
