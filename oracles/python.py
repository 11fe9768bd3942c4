"""A user's own Python function as an oracle.

The function gets the designs as text (`list[str]`: SMILES, infix equations, bond letters) and
returns one number each, in order, or a dict of column names to such lists. If its parameter is
annotated `str`, it is called for one design at a time and returns one number (or a dict of
them). NaN means that the measurement failed, and so does an exception: it costs that design
alone, since a list that fails is tried again one by one, and it never becomes a number. An
object will do as well: one that is called with a list (an oracle of Therapeutics Data Commons),
one with `score_list` (a GuacaMol scoring function), or one that only has `score` of a single text.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

from designer.calling import gathered
from designer.errors import InputError, OracleError
from designer.plugins import is_file, needs_consent, resolve, told
from designer.protocols import Measured
from oracles import rows


@dataclass(frozen=True)
class PythonFunction:
    """The function that `source` names: `path/to/file.py:name`, or `module:name`.

    `endpoints` names the columns that are wanted of a function which returns several; it is
    needed only where the very first call may fail throughout. The file is read once, here, so an
    edit during a run changes nothing. Raises InputError where it cannot be loaded.
    """

    source: str
    name: str = ""
    endpoints: tuple[str, ...] = ()
    function: Callable[..., Any] = field(init=False, repr=False, compare=False)

    cheap = False

    def __post_init__(self) -> None:
        function = resolve(self.source, {}, allow_plugins=True)
        if hasattr(function, "score_list"):
            function = function.score_list
        elif not callable(function):
            function = _Alone(function.score)
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "name", self.name or self.source.rsplit(":", 1)[1])

    @property
    def files(self) -> tuple[Path, ...]:
        """What the values depend on."""
        return (Path(self.source.rsplit(":", 1)[0]),) if is_file(self.source) else ()

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return the function's columns [N]; raises OracleError where it breaks the contract."""
        return gathered(self.stream(designs), designs, self.name, self.endpoints)

    def stream(self, designs: Sequence[Any], /) -> Iterator[tuple[list[int], Measured]]:
        """Yield what is asked one by one as it is answered: a kill costs one call, not a batch."""
        texts = [design.text for design in designs]
        if texts and not takes_one(self.function):
            whole = self._ask(texts)
            if whole.columns or len(texts) == 1:
                yield list(range(len(texts))), whole
                return
        yield from rows.streamed(self._ask, texts)

    def _ask(self, texts: Sequence[str]) -> Measured:
        try:
            alone = takes_one(self.function)
            said = self.function(texts[0] if alone else texts)
            one = not alone and isinstance(said, Real)
            said = _lists(said, alone)
        except (Exception, SystemExit) as error:  # a user's function may raise anything
            return rows.failure(len(texts), told(error))
        try:
            return rows.answer(said, len(texts), self.source, self.name, self.endpoints)
        except OracleError as error:
            hint = "; annotate its parameter `str` to be asked for one design at a time"
            raise OracleError(f"{error}{hint if one else ''}") from None

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies in other processes load the file themselves."""
        return PythonFunction, (self.source, self.name, self.endpoints)


@dataclass(frozen=True)
class _Alone:
    """A method that judges one text, whatever its annotation says."""

    score: Callable[[str], object]

    def __call__(self, text: str) -> object:
        return self.score(text)


@needs_consent
def python(
    path: Path, function: str, name: str = "", endpoints: tuple[str, ...] = ()
) -> PythonFunction:
    """The function of that name in a Python file; see `oracles.python`."""
    if not function.isidentifier():
        raise InputError(f"function {function!r} is not a name")
    return PythonFunction(f"{path}:{function}", name or function, endpoints)


def takes_one(function: Callable[..., Any]) -> bool:
    """Return whether the first parameter is annotated `str`: one design at a time."""
    return _first(function) in (str, "str")


def takes_texts(function: Callable[..., Any]) -> bool:
    """Return whether the first parameter is annotated as a list of texts."""
    return _first(function) in (list[str], "list[str]", Sequence[str], "Sequence[str]")


def _first(function: Callable[..., Any]) -> object:
    """Return the annotation of the first parameter, None where there is none."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some compiled functions have no signature
        return None
    return parameters[0].annotation if parameters else None


def _lists(said: object, alone: bool) -> object:
    """Return an answer as lists: a single design's numbers in lists of one, iterators read out."""
    if isinstance(said, Mapping):
        return {name: _lists(value, alone) for name, value in said.items()}
    if alone:
        return [said]
    return list(said) if isinstance(said, Iterator) else said
