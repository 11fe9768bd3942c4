"""`designer prior train`: teach a policy known designs; what to teach is a plan's `prepare`."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from cli.machine import Machine
from cli.prior import ABOUT, WEIGHTS, about, find, network, tensors
from cli.signals import stopping
from designer import checkpoint, files
from designer.corpus import Corpus
from designer.errors import InputError, Interrupted
from designer.likelihood import Lessons, Look, Teacher
from designer.policy import RecurrentPolicy
from tasks.molecules import corpus
from tasks.molecules.smiles import Smiles

SHOWN = 5  # lines left out that are told of one by one; the rest are counted


@dataclass(frozen=True)
class Plan:
    """What `designer prior train` was told; the network and the data it is taught."""

    file: Path | None = None
    dataset: str | None = None
    hidden: int = 512
    layers: int = 1
    embedding: int = 0
    max_length: int = 100  # tokens
    max_atoms: int = 50
    min_count: int = 1  # molecules a token must occur in; those with rarer ones are left out
    held_out: float = 0.02  # share of the molecules
    check: bool = True
    strict: bool = False
    earlier: Path | None = None  # a prior to go on from; its tokens and sizes are kept
    lessons: Lessons = field(default_factory=Lessons)

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise InputError(f"held_out is {self.held_out}, expected a share between 0 and 1")

    def prepare(self, device: torch.device, say: Callable[[str], None]) -> Prepared:
        """Read the file, build the network, put some rows aside; tells of what is left out."""
        return prepare(self, device, say)


@dataclass(frozen=True)
class Prepared:
    """The network and the rows, ready to be taught."""

    policy: RecurrentPolicy
    teacher: Teacher
    about: dict[str, Any]
    seen: torch.Tensor  # hashes of the designs that are taught
    noun: str  # what a design is called


class Teachable(Protocol):
    """A plan of what to teach."""

    def prepare(self, device: torch.device, say: Callable[[str], None]) -> Prepared:
        """Return the network and the rows it is taught; `say` tells of what is left out."""


def train(
    plan: Teachable,
    out: Path,
    machine: Machine,
    seconds: float | None = None,
    *,
    quiet: bool = False,
) -> None:
    """Teach a prior; what is in `out` is continued, and usable after every look."""
    say = _silent if quiet else _say
    torch.set_num_threads(machine.threads)
    if (out / ABOUT).is_file() and about(out).get("finished"):
        raise InputError(f"{out}: holds a finished prior; choose another --out")
    ready = plan.prepare(machine.resolve(), say)
    log = _continued(ready, out, say)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise files.unwritable(out, error) from None
    begun = time.monotonic()

    def look(seen: Look) -> None:
        log.append(asdict(seen))
        say(_line(seen, ready))
        _keep(ready, out, log)

    with stopping() as asked:
        over = ready.teacher.run(
            look,
            _every(30.0, ready.teacher, say),
            lambda: asked() is not None or (seconds or np.inf) < time.monotonic() - begun,
        )
        reason = asked()
    if not over:
        checkpoint.save(out, _state(ready, log))
        again = "the same command goes on from here"
        if reason is not None:
            raise Interrupted(f"interrupted at step {ready.teacher.step}; {again}")
        say(f"the time is over at step {ready.teacher.step}; {again}")
        return
    _keep(ready, out, log, finished=True)
    for name in (checkpoint.NAME, checkpoint.PREVIOUS):
        (out / name).unlink(missing_ok=True)
    best = ready.teacher.best
    say(f"finished: {best:.4f} nats a token held out; see `designer prior info {out}`")


def prepare(plan: Plan, device: torch.device, say: Callable[[str], None]) -> Prepared:
    """Read the file, build the network, put some rows aside; tells of what is left out."""
    path = corpus.source(plan.file, plan.dataset)
    told: list[int] = []

    def problem(line: int, reason: str) -> None:
        told.append(line)
        if len(told) <= SHOWN:
            say(f"{path}:{line}: left out: {reason}")

    beat = heart(say)
    read = corpus.read(
        path, check=plan.check, strict=plan.strict, on_problem=problem,
        on_line=lambda line: beat(f"read {line:,} lines"),
    )  # fmt: skip
    for reason, count in read.left_out.items():
        say(f"left out, {reason}: {count:,} line{'s' * (count != 1)}")
    first = None if plan.earlier is None else network(find(plan.earlier))
    known = None if first is None else first[0].vocabulary
    vocabulary, rare = corpus.vocabulary_of(read, plan.min_count, known)
    for word, count in sorted(rare.items()):
        say(f"left out, token {word!r} in {count} molecule{'s' * (count != 1)} only")
    env = Smiles(plan.max_length, plan.max_atoms, vocabulary=vocabulary)
    rows, unfit = corpus.rows(read, env.vocabulary, plan.max_length, plan.max_atoms)
    if unfit:
        say(f"left out, rare tokens or too large: {unfit:,} molecules")
    count = min(max(1, round(plan.held_out * len(rows))), 5000)
    if len(rows) < 2 * count:
        raise InputError(
            f"{path}: holds {len(rows)} that can be taught, too few to hold {count} out; give more "
            "molecules, or a smaller --held-out"
        )
    order = np.random.default_rng(plan.lessons.seed).permutation(len(rows)).tolist()
    aside, taught = [rows[i] for i in order[:count]], [rows[i] for i in order[count:]]
    net = first[1] if first is not None else _fresh(plan, env)
    sizes = {"hidden": net.hidden, "layers": net.layers, "embedding": net.embedding}
    teacher = Teacher(
        net.to(device),
        Corpus(
            env, taught, device=device, seed=plan.lessons.seed, masked=plan.lessons.legality > 0
        ),
        Corpus(env, aside, device=device), plan.lessons,
    )  # fmt: skip
    task = {
        "kind": "molecules", "representation": "smiles", "vocabulary": list(env.vocabulary),
        "max_length": plan.max_length, "max_atoms": plan.max_atoms,
    }  # fmt: skip
    facts = {
        "task": task,
        "policy": {"kind": "recurrent", **sizes},
        "lessons": asdict(plan.lessons),
        "data": {"name": read.name, "sha256": read.digest, "taught": len(taught), "held": count},
    }
    seen = torch.from_numpy(read.keys)
    if plan.earlier is not None:
        folder = find(plan.earlier)
        facts["from"] = {k: about(folder)[k] for k in ("data", "lessons", "step", "held_out")}
        seen = torch.from_numpy(np.union1d(tensors(folder)["seen"].numpy(), read.keys))
    say(
        f"{len(taught):,} molecules to teach, {count:,} held out, {len(vocabulary)} tokens, "
        f"{sum(p.numel() for p in net.parameters()):,} parameters on {device}"
    )
    return Prepared(net, teacher, facts, seen, "molecule")


def _fresh(plan: Plan, env: Smiles) -> RecurrentPolicy:
    sizes = {"hidden": plan.hidden, "layers": plan.layers, "embedding": plan.embedding}
    return RecurrentPolicy(env.obs_size, env.num_actions, **sizes, seed=plan.lessons.seed)


def _continued(ready: Prepared, out: Path, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Go back to the checkpoint in `out` where there is one; return the log so far."""
    state = checkpoint.load(out) if out.is_dir() else None
    if state is None:
        return []
    now = json.loads(json.dumps(ready.about))
    for part, value in now.items():
        before = state["about"].get(part)
        if before != value:
            raise InputError(
                f"{out}: holds a training with another {part} ({json.dumps(before)[:80]}); "
                "give the same file and options to continue it, or choose another --out"
            )
    ready.teacher.restore(state["teacher"])
    say(f"continues at step {ready.teacher.step:,} of {ready.teacher.steps:,}")
    return list(state["log"])


def _state(ready: Prepared, log: list[dict[str, Any]]) -> dict[str, Any]:
    return {"teacher": ready.teacher.state(), "about": ready.about, "log": log}


def _keep(ready: Prepared, out: Path, log: list[dict[str, Any]], *, finished: bool = False) -> None:
    """Write the best weights so far, what they are, the log, and the checkpoint."""
    from safetensors.torch import save

    best = min(log, key=lambda row: row["held_out"])
    held = {f"policy.{k}": v.cpu().contiguous() for k, v in ready.teacher.best_weights.items()}
    facts = ready.about | {
        "finished": finished, "step": best["step"], "held_out": best["held_out"],
        "torch": torch.__version__,
    }  # fmt: skip
    files.replace(out / WEIGHTS, save(held | {"seen": ready.seen}))
    files.replace(out / ABOUT, (json.dumps(facts, indent=1) + "\n").encode())
    text = io.StringIO()
    table = csv.DictWriter(text, list(log[0]), lineterminator="\n")
    table.writeheader()
    table.writerows([_rounded(row) for row in log])
    files.replace(out / "training.csv", text.getvalue().encode())
    checkpoint.save(out, _state(ready, log))


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    return {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}


def _line(seen: Look, ready: Prepared) -> str:
    return (
        f"step {seen.step:,} of {ready.teacher.steps:,} (epoch {seen.epoch:.2f}): "
        f"{seen.loss:.4f} nats a token, held out {seen.held_out:.4f} "
        f"({seen.per_design:.2f} a {ready.noun}), {seen.rows_per_second:.0f} {ready.noun}s/s"
    )


def _every(
    seconds: float, teacher: Teacher, say: Callable[[str], None]
) -> Callable[[int, float], None]:
    beat = heart(say, seconds)
    return lambda step, loss: beat(f"step {step:,} of {teacher.steps:,}: {loss:.4f} nats a token")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _silent(text: str) -> None:
    pass


def heart(say: Callable[[str], None], seconds: float = 10.0) -> Callable[[str], None]:
    """Return what says a line now and then, however often it is called."""
    last = time.monotonic()

    def beat(text: str) -> None:
        nonlocal last
        if time.monotonic() - last > seconds:
            last = time.monotonic()
            say(text)

    return beat
