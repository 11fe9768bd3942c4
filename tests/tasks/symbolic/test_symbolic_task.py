"""The task tied together: what it recommends of a front."""

from __future__ import annotations

from designer.memory import Found
from oracles.fit import Fit
from tasks.symbolic.language.parser import parse
from tasks.symbolic.task import task


def found(text: str) -> Found:
    """Return what a campaign would have recorded of a formula whose free letters are fitted."""
    made = task(data="planets", target="period_days")
    design = parse(text, made.environment.library)
    measured = Fit(made.context["data"])([design])
    assert measured.designs is not None
    done = measured.designs[0]
    scores = {name: float(values[0]) for name, values in measured.columns.items()}
    return Found(done.text, scores["fit"], scores, done.complexity, 0, 0, done.key, scores["fit"])


def test_keplers_law_is_recommended_between_too_simple_and_too_long() -> None:
    made = task(data="planets", target="period_days")
    x = "semi_major_axis_au"
    texts = [
        f"a*{x}",
        f"a*sqrt({x})*{x}",
        f"a*sqrt({x})*({x} + b)",
        f"a*sqrt({x})*({x} + b*exp(c*{x}))",
    ]
    front = [found(text) for text in texts]
    assert made.recommend is not None
    assert made.recommend(front) is front[1]


def test_without_an_error_there_is_no_recommendation() -> None:
    made = task(data="planets", target="period_days")
    assert made.recommend is not None
    bare = Found("semi_major_axis_au", 1.0, {"other": 1.0}, 1, 0, 0, "k", 1.0)
    assert made.recommend([bare]) is None
