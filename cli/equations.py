"""`designer equation`: one column of a CSV, or each of several, or given formulas judged."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cli.build import build_task
from cli.options import Options
from cli.presets import equation
from cli.session import apply, start
from cli.several import each
from designer.config import Document
from designer.errors import InputError


def explain(
    data: Path,
    targets: Sequence[str],
    formulas: Sequence[str],
    wishes: Mapping[str, Any],
    options: Options,
) -> None:
    """Search for an equation for each target, or judge the given formulas instead.

    Of several targets none is an input of another. All campaigns are checked before the first
    is run.
    """
    twice = [target for target in targets if targets.count(target) > 1]
    if twice:
        raise InputError(f"--target {twice[0]!r} is given twice; give it once")
    documents = []
    wanted: Sequence[str | None] = targets or [None]
    for target in wanted:
        others = [other for other in targets if other != target]
        own = {**wishes, "target": target, "ignore": [*(wishes["ignore"] or []), *others]}
        documents.append(equation(data, own))
    if formulas:
        if len(documents) > 1:
            raise InputError("--score judges formulas for one target; give --target once")
        return judge(documents[0], formulas, options)
    if len(documents) == 1:
        return start(documents[0], options)
    for document in documents:
        build_task(document, allow_plugins=options.allow_plugins)
    each(documents, list(targets), options, "explaining")


def judge(document: Document, formulas: Sequence[str], options: Options) -> None:
    """Print how well formulas fit the data; numbers that are left open are fitted."""
    from tasks.symbolic.guesses import checked

    apply(document, options)
    task = build_task(document, allow_plugins=options.allow_plugins)
    if not options.quiet:
        for note in task.notes:
            print(note, file=sys.stderr)
    report: Any = task.tell
    rows = [report.row(checked(text, report.tokens, report.parts.whole)) for text in formulas]
    if options.as_json:
        print(json.dumps({"results": [report.described(row) for row in rows]}, allow_nan=False))
    else:
        details = [line for row in rows for line in report.details(row)]
        print("\n".join([*report.lines(rows, None, None), *details]))
