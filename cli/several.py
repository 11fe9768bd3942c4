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
            if options.as_json:
                results += _caught(document, name, own, doing)
            else:
                print(f"\n{name}")
                start(document, own)
    finally:  # what is there is told, also where one of them was interrupted
        if options.as_json:
            print(json.dumps({"results": results}))


def _caught(document: Document, name: str, options: Options, doing: str) -> list[dict[str, Any]]:
    """Run one campaign and return the object it prints, none where it printed nothing."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            start(document, options)
    except BaseException as problem:
        problem.add_note(f"while {doing} {name}")
        if not said.getvalue():
            raise
        print(said.getvalue(), end="")
        raise
    return [{"name": name, **json.loads(said.getvalue())}]
