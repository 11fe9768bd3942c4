"""`designer doctor`: whether this installation, this machine and a campaign are fit to run.

A line a finding, and under what is amiss its remedy.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.resources import files
from pathlib import Path

from designer.errors import DesignerError, InputError

LITTLE_DISK = 1_000_000_000  # bytes


@dataclass(frozen=True)
class Finding:
    """What was found of one thing; a `remedy` says that it is amiss, `grave` how runs fail."""

    subject: str
    said: str
    remedy: str = ""
    grave: type[DesignerError] | None = None


def doctor(campaign: Path | None, *, allow_plugins: bool = False) -> None:
    """Print the findings as they come; raises the gravest, that of the highest exit code."""
    from cli.preflight import examine, steps

    faults: list[DesignerError] = []
    rounds: list[Callable[[], Iterator[Finding]]] = [installation, machine, place]
    if campaign is None:
        rounds.append(steps)
    else:
        rounds.append(lambda: examine(campaign, allow_plugins=allow_plugins))
    for findings in rounds:
        try:
            for finding in findings():
                _say(finding)
                if finding.grave:
                    told = f"{finding.subject}: {finding.said}; {finding.remedy}"
                    faults.append(finding.grave(told))
        except DesignerError as problem:
            print(f"AMISS  {problem}", flush=True)
            faults.append(problem)
        except ImportError as problem:  # what is missing was told with its remedy
            print(f"AMISS  {problem}", flush=True)
            faults.append(InputError(str(problem)))
    if faults:
        raise max(faults, key=lambda fault: fault.exit_code)


def _say(finding: Finding) -> None:
    mark = "AMISS " if finding.grave else "note  " if finding.remedy else "ok    "
    print(f"{mark} {finding.subject}: {finding.said}", flush=True)
    if finding.remedy:
        print(f"        remedy: {finding.remedy}", flush=True)


def installation() -> Iterator[Finding]:
    """Yield what is installed, and what of it is missing or too old."""
    from designer import __version__

    yield Finding("designer", f"{__version__}, data in {files('data')}")
    yield Finding("python", f"{platform.python_version()} on {platform.platform()}")
    for name, least in _wanted():
        yield _package(name, least)
    yield _optional("molscore", "the models of drd2, gsk3b and jnk3", "pip install 'designer[pmo]'")
    log = sqlite3.sqlite_version_info < (3, 22)
    newer = "use a Python with SQLite 3.22 or newer" if log else ""
    yield Finding("sqlite", sqlite3.sqlite_version, newer, InputError if log else None)


def _wanted() -> list[tuple[str, str]]:
    """Return (package, least version) for what this program needs."""
    try:
        lines = requires("designer") or []
    except PackageNotFoundError:
        return []
    found = [re.match(r"([\w-]+)>=([\d.]+)$", line) for line in lines]
    return [(match[1], match[2]) for match in found if match]


def _package(name: str, least: str) -> Finding:
    remedy = f"pip install '{name}>={least}'"
    try:
        there = version(name)
    except PackageNotFoundError:
        return Finding(name, "missing", remedy, grave=InputError)
    if _numbers(there) < _numbers(least):
        return Finding(name, f"{there}, older than {least}", remedy, grave=InputError)
    return Finding(name, there)


def _optional(name: str, purpose: str, remedy: str) -> Finding:
    try:
        return Finding(name, version(name))
    except PackageNotFoundError:
        return Finding(name, f"not installed; only {purpose} need it", remedy)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text.partition("+")[0])[:3])


def machine() -> Iterator[Finding]:
    """Yield processors, threads, memory, and each GPU after a sum on it."""
    import torch

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("processors", f"{allowed} of {os.cpu_count()} may be used")
    yield Finding("threads", f"{torch.get_num_threads()} of torch; campaigns set machine.threads")
    with_proc = Path("/proc/meminfo")
    if with_proc.exists():
        held = re.search(r"MemAvailable:\s+(\d+)", with_proc.read_text())
        yield Finding("memory", f"{int(held[1]) / 1e6:.1f} GB free" if held else "unknown")
    count = torch.cuda.device_count()
    if count == 0:
        driver = shutil.which("nvidia-smi") is not None
        remedy = "install torch's CUDA build (TORCH=gpu ./run setup)" if driver else ""
        yield Finding("GPUs", "none that torch sees; campaigns run on the CPU", remedy)
    for i in range(count):
        yield _gpu(i)


def _gpu(number: int) -> Finding:
    import torch

    name = f"cuda:{number}"
    try:
        total = float(torch.ones(64, 64, device=name).sum())
        free, whole = torch.cuda.mem_get_info(number)
    except (RuntimeError, AssertionError) as problem:  # torch raises either
        why = str(problem).partition("\n")[0][:120]
        return Finding(name, f"does not compute ({why})", "check its driver, or use --device cpu")
    said = f"{torch.cuda.get_device_name(number)}, {free / 1e9:.1f} of {whole / 1e9:.1f} GB free"
    if total != 64 * 64:
        return Finding(name, said, "its sums are wrong: do not use it", InputError)
    return Finding(name, said)


def place() -> Iterator[Finding]:
    """Yield whether runs can be kept under the working directory, and how fast."""
    from designer.rundir import RunDirectory
    from designer.store import Evaluation

    here = Path.cwd()
    free = shutil.disk_usage(here).free
    little = free < LITTLE_DISK
    space = "free some space, or choose another disk with --out" if little else ""
    yield Finding("disk", f"{free / 1e9:.1f} GB free in {here}", space)
    if not os.access(here, os.W_OK):
        yield Finding("runs", f"{here} cannot be written", "name a directory with --out")
        return
    with tempfile.TemporaryDirectory(prefix=".designer-doctor-", dir=here) as folder:
        try:
            with RunDirectory.create(Path(folder) / "run", "", {}) as run:
                started = time.perf_counter()
                run.store.keep([Evaluation(0, "key", "text", {"x": 1.0})], durable=True)
                seconds = time.perf_counter() - started
        except DesignerError as problem:
            yield Finding(
                "runs", str(problem), "put runs on a local disk with --out", grave=type(problem)
            )
            return
    slow = "put runs on a local disk with --out" if seconds > 1 else ""
    yield Finding("runs", f"locks and a durable record work ({1e3 * seconds:.0f} ms a write)", slow)
