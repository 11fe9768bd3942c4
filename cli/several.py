"""Several campaigns one after the other: records of a file, targets of a table."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cli.options import Options
from cli.session import start
from designer.config import Document


def each(documents: Sequence[Document], names: Sequence[str], options: Options, doing: str) -> None:
    """Run the campaigns; with --json they give one object {"results": [...]}, with --out each
    has its own directory there. `doing` says in an error what went on: "folding".
    """
    results: list[dict[str, Any]] = []
    try:
        for number, (document, name) in enumerate(zip(documents, names, strict=True), start=1):
            own = options
            if options.out is not None:
                plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip(".")[:60]
                own = replace(options, out=options.out / f"{number}-{plain}")
            try:
                if options.as_json:
                    _collect(document, name, own, results)
                else:
                    print(f"\n{name}")
                    start(document, own)
            except BaseException as problem:
                problem.add_note(f"while {doing} {name}, {number} of {len(names)}")
                raise
    finally:  # what is there is told, also where one of them was interrupted
        if results:
            print(json.dumps({"results": results}))


def _collect(
    document: Document, name: str, options: Options, results: list[dict[str, Any]]
) -> None:
    """Run one campaign and add the object it prints; an interrupted one prints it and raises."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            start(document, options)
    finally:
        if said.getvalue():
            results.append({"name": name, **json.loads(said.getvalue())})
