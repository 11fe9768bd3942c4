"""`validate` and `score`: looking at a campaign or at designs without searching."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cli.build import COSTS, TABLES, WANTED, build, build_judge, build_task
from cli.kinds import aside
from cli.options import Options
from cli.output import number
from cli.presets import shipped
from cli.session import asks_people
from designer import config
from designer.calling import call
from designer.config import Document
from designer.errors import InputError, OracleError
from designer.plugins import is_file
from designer.protocols import Task
from tasks.molecules import corpus


def validate(campaign: Path, options: Options) -> None:
    """Build everything and call each oracle on known designs; say what was found."""
    document = config.load(campaign)
    parts = build(document, allow_plugins=options.allow_plugins)
    if not asks_people(parts.objective):
        with aside():
            parts.campaign().preflight()
    env = parts.task.environment
    judged = [oracle.name for oracle in parts.objective.oracles]
    size = sum(p.numel() for p in parts.policy.parameters())
    print(f"{campaign}: fine")
    print(f"  task {parts.task.name}: {env.num_actions} actions, at most {env.max_steps} steps")
    print(f"  policy: {size:,} parameters on {parts.device}")
    print(f"  oracles: {', '.join(judged)}")


def score(oracle: str, file: str, task: str | None, options: Options, skip: bool = False) -> None:
    """Print a line a design, in order: the value, a tab, the design; or one object of all columns.

    What is no design is refused, or with `skip` gets `nan` and its reason on stderr. Of several
    columns, that with the oracle's name or else the first is printed, and stderr says which.
    Raises OracleError, when all is printed, where the oracle measured none of the designs.
    """
    made, judge = judge_of(oracle, task, options)
    name, texts = _texts(made, file)
    if not texts:
        raise InputError(f"{name}: holds no designs; expected one a line")
    designs, judged, refused = [], [], dict[int, str]()
    for row, (line, text) in enumerate(texts):
        try:
            designs.append(_parsed(made, text, f"{name}:{line}"))
            judged.append(row)
        except InputError as problem:
            if not skip:
                raise
            refused[row] = str(problem)
    with aside():
        answer = call(judge, designs)
    for at, reason in answer.errors.items():
        refused[judged[at]] = f"{name}:{texts[judged[at]][0]}: not measured: {reason}"
    values = {column: np.full(len(texts), np.nan) for column in answer.columns}
    for column, measured in answer.columns.items():
        values[column][judged] = measured + 0.0  # no minus before a zero
    _print(judge.name, texts, values, refused, options.as_json)
    if judged and len(answer.errors) == len(judged):
        raise OracleError(f"{judge.name} measured none of {len(judged)} designs; mend the oracle")


def _print(
    oracle: str, texts: Sequence[tuple[int, str]], values: Mapping[str, NDArray[np.float64]],
    refused: Mapping[int, str], as_json: bool,
) -> None:  # fmt: skip
    """Print what was measured, and on stderr the reasons for what was not."""
    if as_json:
        return print(json.dumps({"results": _results(texts, values, refused)}, allow_nan=False))
    shown = oracle if oracle in values else next(iter(values))
    if shown != oracle and len(values) > 1:
        print(f"of the columns {', '.join(values)}: {shown}", file=sys.stderr)
    for value, (_, text) in zip(values[shown].tolist(), texts, strict=True):
        print(f"{value!r}\t{text}")
    for _, reason in sorted(refused.items()):
        print(reason, file=sys.stderr)


def _results(
    texts: Sequence[tuple[int, str]],
    values: Mapping[str, NDArray[np.float64]],
    refused: Mapping[int, str],
) -> list[dict[str, Any]]:
    """Return an object a design; what is not finite is null, as JSON has no other word for it."""
    return [
        {
            "design": text,
            "values": {column: number(float(each[row])) for column, each in values.items()},
            "error": refused.get(row),
        }
        for row, (_, text) in enumerate(texts)
    ]


def judge_of(oracle: str, task: str | None, options: Options) -> tuple[Task, Any]:
    """Return the task whose designs are judged, and what judges them."""
    document = _document(oracle, task)
    kind = str(Path(oracle).absolute()) if is_file(oracle) else oracle
    document.override(("objective",), [{"kind": kind}], "ORACLE")
    for text in options.assignments or []:
        path, value = config.assignment(text)
        document.override(path, value, f"--set {text}")
    document.known(TABLES)
    made = build_task(document, allow_plugins=options.allow_plugins)
    judge = build_judge(document, ("objective", 0), made, allow_plugins=True)  # a person typed it
    return made, judge


def _document(oracle: str, task: str | None) -> Document:
    """Return a campaign whose task reads the designs."""
    if task is not None and task.endswith(".toml"):
        return config.load(task)
    module = (WANTED | COSTS).get(oracle, "").partition(":")[0]
    return shipped(task or _HOMES.get(module, "molecule"))


_HOMES = {  # whose designs these judge
    "oracles.energies": "fold",
    "oracles.unique": "fold_design",
    "oracles.foldfit": "fold_design",
    "oracles.offlattice": "offlattice",
    "oracles.fit": "equation",
}


def _texts(task: Task, file: str) -> tuple[str, list[tuple[int, str]]]:
    """Return the file's name, and its designs with the numbers of their lines.

    Molecules may be in a table, or have their names behind them.
    """
    path = Path(file)
    if task.name == "molecules" and path.suffix in (*corpus.TABLES, ".gz") and path.is_file():
        return file, list(corpus.lines(path))
    name, found = lines_of(file)
    texts = [(number, line) for number, line in enumerate(found, 1) if line]
    if task.name == "molecules":
        texts = [(number, line.split(maxsplit=1)[0]) for number, line in texts]
    return name, texts


def lines_of(file: str) -> tuple[str, list[str]]:
    """Return the name and the lines of a file, or of stdin for "-", without blanks at the ends.

    Raises InputError where it is not UTF-8 text.
    """
    name = "stdin" if file == "-" else file
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{name}: not UTF-8 text; give designs, one a line") from None
    return name, [line.strip() for line in text.splitlines()]


def _parsed(task: Task, text: str, place: str) -> Any:
    try:
        return task.parse(text)
    except InputError as problem:
        raise InputError(f"{place}: {problem}") from None
