"""An external program as an oracle: one design a line in, one number a line or JSON out.

JSON is a list of numbers, an object of column names to such lists, or REINVENT4's external
process form `{"version": 1, "payload": {"name": [...]}}`. `nan` and `null` mean that this design
could not be measured. No shell is involved: the command is a list of arguments.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from designer.calling import gathered
from designer.errors import InputError, OracleError
from designer.plugins import needs_consent
from designer.protocols import Measured
from oracles import rows
from oracles.process import ProgramFailed, converse


@needs_consent
@dataclass(frozen=True)
class Program:
    """Runs `command` on at most `batch_size` designs at a time (0: all of them at once).

    A non-zero exit, more than `timeout` seconds or `max_output` bytes leave that call's designs
    unmeasured, with the last line on stderr as the reason; a wrong number of values, or text
    where a number belongs, breaks the contract and raises OracleError. The program runs in
    `folder`, sees PATH, HOME, the locale and the like, and the variables that `environment`
    names. `endpoints` picks columns by name.
    """

    command: tuple[str, ...]
    timeout: float = 600.0  # seconds a call
    batch_size: int = 0
    max_output: int = 1 << 26  # bytes a call
    folder: Path | None = None
    environment: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    name: str = "program"

    cheap = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "command", tuple(self.command))
        if not self.command:
            raise InputError('command is empty, expected a list such as ["python", "score.py"]')
        for setting in ("timeout", "max_output"):
            if not getattr(self, setting) > 0:
                raise InputError(f"{setting} is {getattr(self, setting)}, expected more than 0")
        if self.batch_size < 0:
            raise InputError(f"batch_size is {self.batch_size}, expected at least 0")
        if self.folder is not None and not self.folder.is_dir():
            raise InputError(f"folder {str(self.folder)!r} is not a directory")
        if self._found() is None:
            raise InputError(_absent(self.command))

    @property
    def files(self) -> tuple[Path, ...]:
        """What the values depend on: the program, and its arguments that are files."""
        home = self.folder or Path()
        found = [Path(self._found() or ""), *(home / part for part in self.command[1:])]
        return tuple(path for path in found if path.is_file())

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return the program's columns [N]."""
        return gathered(self.stream(designs), designs, self.name, self.endpoints)

    def stream(self, designs: Sequence[Any], /) -> Iterator[tuple[list[int], Measured]]:
        """Return the answers of the calls, each as it comes."""
        texts = [design.text for design in designs]
        for text in texts:
            if len(text.splitlines()) != 1:
                raise InputError(f"{self.name}: design {text!r} is not one line of text")
        return rows.streamed(self._ask, texts, self.batch_size)

    def _ask(self, texts: Sequence[str]) -> Measured:
        try:
            out = converse(
                self.command,
                "\n".join(texts) + "\n",
                timeout=self.timeout,
                max_output=self.max_output,
                folder=self.folder,
                environment=self.environment,
            )
        except ProgramFailed as error:
            return rows.failure(len(texts), f"{self.command[0]}: {error}")
        except OSError as error:
            text = f"{self.name}: {self.command[0]!r} cannot be started: {error.strerror}"
            raise OracleError(f"{text}; check that it exists and may be executed") from error
        said = read(out, self.command[0])
        return rows.answer(said, len(texts), self.command[0], self.name, self.endpoints)

    def _found(self) -> str | None:
        program = self.command[0]
        if self.folder is not None and "/" in program:
            program = str(self.folder / program)
        return shutil.which(program)


def read(out: str, source: str) -> object:
    """Return what a program printed: numbers [N], or a mapping of names to numbers.

    Raises OracleError that names the line or the place in the JSON.
    """
    text = out.strip()
    if text[:1] in ("{", "["):
        return _json(text, source)
    return [_line(line, number, source) for number, line in enumerate(text.splitlines(), 1)]


def _json(text: str, source: str) -> object:
    try:
        said = json.loads(text)
    except RecursionError:
        raise OracleError(f"{source} printed JSON that is nested too deeply") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise OracleError(f"{source} printed broken JSON: {error.msg} at {place}") from None
    except ValueError:
        raise OracleError(f"{source} printed JSON with a whole number that is too long") from None
    if isinstance(said, dict) and isinstance(said.get("payload"), dict):
        return said["payload"]
    return said


def _line(line: str, number: int, source: str) -> float:
    try:
        return float(line)
    except ValueError:
        text = f"{source} printed {line[:60]!r} in line {number}"
        raise OracleError(f"{text}, expected one number (nan where it failed)") from None


def _absent(command: Sequence[str]) -> str:
    if any(blank in command[0] for blank in " \t") and not Path(command[0]).exists():
        return f"command {command[0]!r} is one word; write it as a list, one argument an element"
    where = "there" if "/" in command[0] else "on the PATH"
    return f"command {command[0]!r} is not {where}, or may not be executed"
