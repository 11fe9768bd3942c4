"""`designer bench gradients`: the audit of the estimators, as a table or as JSON."""

from __future__ import annotations

import json
import time
from dataclasses import asdict

import torch
from rich.console import Console
from rich.table import Table

from cli.options import Options
from designer.audit import EXACT, Bench, Row, examine
from designer.claims import members
from designer.errors import DesignerError
from designer.limits import Limit, limits


def bench_gradients(options: Options) -> None:
    """Print every member's exact bias and variance, and every identity.

    Raises DesignerError where one of them is not what it claims to be.
    """
    torch.set_num_threads(1)
    started = time.monotonic()
    bench = Bench()
    rows = [examine(member, bench) for member in members()]
    ties = limits(bench)
    seconds = time.monotonic() - started
    if options.as_json:
        told = {
            "designs": len(bench.toy.reward),
            "parameters": sum(p.numel() for p in bench.toy.policy.parameters()),
            "members": [asdict(row) for row in rows],
            "identities": [asdict(tie) | {"holds": tie.holds} for tie in ties],
            "max_error": max(row.error for row in rows),
            "seconds": round(seconds, 3),
        }
        print(json.dumps(told))
    else:
        _show(rows, ties, seconds)
    wrong = [row.name for row in rows if not row.error <= EXACT]
    wrong += [tie.name for tie in ties if not tie.holds]
    if wrong:
        raise DesignerError(f"not what they claim to be: {', '.join(wrong)}")


def _show(rows: list[Row], ties: list[Limit], seconds: float) -> None:
    console = Console(width=max(100, Console().width))
    table = Table("estimator", "claim holds", "error", "bias", "variance", "cosine")
    for row in rows:
        bias = "0" if row.bias < EXACT * 100 else f"{row.bias:.3g}"
        cells = (f"{row.error:.0e}", bias, f"{row.variance:.3g}", f"{row.cosine:.4f}")
        table.add_row(row.name, row.holds, *cells)
    console.print(table)
    second = Table("identity: at its limit it is REINFORCE", "stated", "error", "holds")
    for tie in ties:
        second.add_row(tie.name, tie.stated, f"{tie.error:.0e}", "yes" if tie.holds else "NO")
    console.print(second)
    worst = max(row.error for row in rows)
    exact = [tie for tie in ties if tie.stated == "exact"]
    console.print(
        f"{len(rows)} estimators, {len(ties)} identities ({len(exact)} of them exact); largest "
        f"error {worst:.1e}; {seconds:.0f} s",
        highlight=False,
    )
    console.print(
        "error: of the expected gradient against what is claimed. bias: of the expected gradient, "
        "in batches of 2 or 3, relative to the exact one; it is the known one where the claim is "
        "a known bias, and falls with the batch where the claim is that of a large batch. "
        "variance: total, for one design.",
        highlight=False,
    )
