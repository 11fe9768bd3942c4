"""`designer score ORACLE --serve PROTOCOL`: an oracle for other programs.

`reinvent4` is the protocol of REINVENT4's external process: SMILES on stdin, a line each, and one
JSON object on stdout, `{"version": 1, "payload": {name: [numbers]}}`. Every line has its number:
NaN where the text is no molecule or could not be measured, so that rows stay rows. The main value
is called `predictions` too, as older versions of REINVENT4 want it.
"""

from __future__ import annotations

import json
import math
import sys

from cli.inspecting import judge_of, lines_of
from cli.kinds import aside
from cli.options import Options
from designer.calling import call
from designer.errors import InputError

PROTOCOLS = ("reinvent4",)


def serve(oracle: str, file: str, task: str | None, protocol: str, options: Options) -> None:
    """Judge the lines of a file or stdin, and print one answer in the protocol's form."""
    if protocol not in PROTOCOLS:
        raise InputError(f"--serve {protocol}: expected {' or '.join(PROTOCOLS)}")
    made, judge = judge_of(oracle, task, options)
    _, lines = lines_of(file)
    designs, rows = [], []
    for row, line in enumerate(lines):
        try:
            designs.append(made.parse(line))
            rows.append(row)
        except InputError as problem:
            print(f"line {row + 1}: not measured: {problem}", file=sys.stderr)
    with aside():
        answer = call(judge, designs)
    for row, reason in sorted(answer.errors.items()):
        print(f"line {rows[row] + 1}: not measured: {reason}", file=sys.stderr)
    payload: dict[str, list[float]] = {}
    for name, values in answer.columns.items():
        payload[name] = [math.nan] * len(lines)
        for row, value in zip(rows, values.tolist(), strict=True):
            payload[name][row] = value
    main = judge.name if judge.name in payload else next(iter(payload))
    payload.setdefault("predictions", payload[main])
    print(json.dumps({"version": 1, "payload": payload}))
