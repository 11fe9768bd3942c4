"""One conversation with an external program: text in, text out, within limits, no shell."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

MARK = "DESIGNER_WORKER"  # carried by what a watched worker starts; see `oracles.isolation`
# What programs need to run at all; keys and tokens of this session are nobody's business.
PASSED = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TZ", "TMPDIR", "TMP", "TEMP"),
    *("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_NUMERIC"),
    *("LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV", "CONDA_PREFIX"),
    *("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"),
    MARK,
)
_TAIL = 65_536  # bytes of stderr kept


class ProgramFailed(Exception):
    """The program ended badly; the text says how, with its last line on stderr."""


def converse(
    command: Sequence[str],
    text: str,
    *,
    timeout: float,
    max_output: int,
    folder: Path | None = None,
    environment: Sequence[str] = (),
) -> str:
    """Return what the program prints when `text` is its standard input.

    Raises ProgramFailed on a non-zero exit, after `timeout` seconds and beyond `max_output`
    bytes; raises OSError where it cannot be started. Whatever the program left running in its
    process group is killed in every case.
    """
    with tempfile.TemporaryFile() as stdin:
        stdin.write(text.encode())
        stdin.seek(0)
        process = subprocess.Popen(
            list(command),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=_environment(environment),
            start_new_session=True,
        )
    try:
        out, err = _read(process, time.monotonic() + timeout, timeout, max_output)
    finally:
        _end(process)
    if process.returncode:
        raise ProgramFailed(ending(process.returncode, err))
    return out.decode("utf-8", errors="replace")


def _environment(further: Sequence[str]) -> Mapping[str, str]:
    return {key: os.environ[key] for key in (*PASSED, *further) if key in os.environ}


def _read(
    process: subprocess.Popen[bytes], deadline: float, timeout: float, max_output: int
) -> tuple[bytes, bytes]:
    """Return stdout and the end of stderr, once the program has ended and both are drained."""
    assert process.stdout is not None and process.stderr is not None, "both are pipes"
    out, err = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, out)
        selector.register(process.stderr, selectors.EVENT_READ, err)
        while selector.get_map():
            if time.monotonic() > deadline:
                raise ProgramFailed(f"no answer within {timeout:g} s{said(err)}")
            for key, _ in selector.select(timeout=0.05):
                chunk = os.read(key.fd, 65_536)
                if not chunk:
                    selector.unregister(key.fileobj)
                key.data.extend(chunk)
            if len(out) > max_output:
                raise ProgramFailed(f"more than {max_output} bytes of output{said(err)}")
            del err[:-_TAIL]
            if process.poll() is not None:
                _kill_group(process)  # a child left behind would hold the pipes open
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise ProgramFailed(f"still running after {timeout:g} s{said(err)}") from None
    return bytes(out), bytes(err)


def _end(process: subprocess.Popen[bytes]) -> None:
    _kill_group(process)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nothing of the group is left
        os.killpg(process.pid, signal.SIGKILL)


def ending(code: int, err: bytes) -> str:
    """Return how a process ended, with its last line on stderr."""
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"killed by {name}{said(err)}"
    return f"exit code {code}{said(err)}"


def said(err: bytes | bytearray) -> str:
    """Return the last line on stderr as the end of a message."""
    lines = [line.strip() for line in err.decode("utf-8", errors="replace").splitlines()]
    last = next((line for line in reversed(lines) if line), "")
    return f": {last[:200]}" if last else ""
