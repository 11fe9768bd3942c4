"""Reading the arrays of a pickle without running it.

A pickle is a program for a stack machine that may call anything. Here its opcodes are walked
with `pickletools` and only data is made of them: numbers, text, lists, dicts, and `Record`s that
remember the name of what would have been called, with its arguments and state. Nothing is
imported and nothing is called; `array` turns the record of a numpy array into one.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from designer.errors import InputError

MAX_BYTES = 1 << 28  # of a file
_DATA = (  # opcodes whose argument is the value
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "INT", "LONG", "FLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
)
_CONSTANT: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict,
}  # fmt: skip
_SILENT = ("PROTO", "FRAME")
_MARK = object()


@dataclass
class Record:
    """What the pickle would have made by calling `name` with `arguments`, then given `state`."""

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None

    def __hash__(self) -> int:
        return id(self)


def read(path: Path) -> Any:
    """Return what a pickle holds, as data and records; raises InputError at what is no data."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: has more than {MAX_BYTES:,} bytes")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    machine = _Machine()
    try:
        for code, argument, place in pickletools.genops(content):
            if code.name == "STOP":
                (result,) = machine.stack
                return result
            if not machine.take(code.name, argument):
                raise InputError(f"{path}: opcode {code.name} at byte {place} is not read here")
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a pickle of arrays ({type(error).__name__})") from None
    raise InputError(f"{path}: ends before its pickle does")


class _Machine:
    """The pickle machine without the power to call."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def take(self, code: str, argument: Any) -> bool:
        """Follow one opcode; False where it is not one of those known here."""
        if code in _DATA:
            self.stack.append(argument)
        elif code in _CONSTANT:
            self.stack.append(_CONSTANT[code]())
        elif code in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif code in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif code == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif code == "MARK":
            self.stack.append(_MARK)
        elif code not in _SILENT:
            return self._group(code, argument)
        return True

    def _group(self, code: str, argument: Any) -> bool:
        stack = self.stack
        if code == "TUPLE":
            items = self._since_mark()
            stack.append(tuple(items))
        elif code in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(code[-1])
            stack[-count:] = [tuple(stack[-count:])]
        elif code in ("APPENDS", "SETITEMS"):
            items = self._since_mark()
            self._fill(stack[-1], items)
        elif code == "APPEND":
            self._fill(stack[-2], [stack.pop()])
        elif code == "SETITEM":
            pair = [stack.pop(-2), stack.pop()]
            self._fill(stack[-1], pair)
        else:
            return self._object(code, argument)
        return True

    def _object(self, code: str, argument: Any) -> bool:
        """Note what would have been looked up, called or built."""
        stack = self.stack
        if code == "GLOBAL":
            stack.append(Record(argument.replace(" ", ".")))
        elif code == "STACK_GLOBAL":
            name, module = stack.pop(), stack.pop()
            stack.append(Record(f"{module}.{name}"))
        elif code in ("REDUCE", "NEWOBJ"):
            arguments, called = stack.pop(), stack.pop()
            stack.append(Record(called.name, tuple(arguments)))
        elif code == "BUILD":
            state = stack.pop()
            stack[-1].state = state
        else:
            return False
        return True

    def _since_mark(self) -> list[Any]:
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise ValueError("no mark")
        items = self.stack[place + 1 :]
        del self.stack[place:]
        return items

    @staticmethod
    def _fill(target: Any, items: list[Any]) -> None:
        if isinstance(target, dict):
            target.update(zip(items[::2], items[1::2], strict=True))
        elif isinstance(target, list):
            target.extend(items)
        else:
            raise TypeError("neither a list nor a dict")


def array(record: Any) -> NDArray[Any]:
    """Return the numpy array of a record; numbers and plain fields only, else InputError."""
    try:
        _, shape, kind, columns_first, content = record.state
        form = _form(kind)
        if len(content) != math.prod(shape) * form.itemsize:
            raise ValueError
        return np.frombuffer(content, form).reshape(shape, order="F" if columns_first else "C")
    except (AttributeError, TypeError, ValueError):
        raise InputError(
            "a pickle holds something else where an array of numbers belongs"
        ) from None


def _form(record: Any) -> np.dtype[Any]:
    """Return the dtype of a record: a number, or named numbers at given places."""
    code, state = record.arguments[0], record.state
    if record.name != "numpy.dtype" or not isinstance(code, str):
        raise ValueError
    if code[0] in "biuf":
        return np.dtype(f"{state[1]}{code}" if state[1] in "<>" else code)
    if code[0] != "V" or not state[3]:
        raise ValueError
    names, places, size = state[3], state[4], int(code[1:])
    formats = [_form(places[name][0]) for name in names]
    offsets = [places[name][1] for name in names]
    layout: dict[str, Any] = {"names": names, "formats": formats, "offsets": offsets}
    layout["itemsize"] = size
    form: np.dtype[Any] = np.dtype(layout)  # type: ignore[call-overload]
    return form
