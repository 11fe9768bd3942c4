"""Formula text to expressions, by our own recursive descent: nothing is ever evaluated.

    sum     = product { ("+" | "-") product }
    product = power { ("*" | "/") power }          with a leading "+" or "-"
    power   = atom [ ("**" | "^") power ]
    atom    = number | name | `quoted header` | name "(" sum { "," sum } ")" | "(" sum ")"
            | "where" "(" sum [ ("<" | ">") sum ] "," sum [ "," sum ] ")"

Numbers are held at their value. A name of one letter with optional digits (a, k, c0) that is no
column is a constant to be fitted; the same name twice is two constants.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from designer.errors import InputError, nearest
from tasks.symbolic.language.expression import Expression, expression
from tasks.symbolic.language.lexer import Word, complain, words
from tasks.symbolic.language.library import Library

MAX_TOKENS, MAX_DEPTH = 500, 60

_FREE = re.compile(r"[A-Za-z]\d*")
_ALIASES = {"ln": "log", "Abs": "abs", "Min": "min", "Max": "max", "arcsin": "asin",
            "arccos": "acos", "arctan": "atan"}  # fmt: skip
_POWERS = {2.0: "square", 3.0: "cube", 0.5: "sqrt", -1.0: "inv"}
_NAMED = {"pi": math.pi, "e": math.e, "E": math.e}


def parse(text: str, library: Library, symbols: Mapping[str, str] | None = None) -> Expression:
    """Return the expression that `text` says, in `library` extended by every built-in operator.

    `symbols` maps stand-ins to the headers they stand for; a header may be given in backquotes.
    The formula is taken as it is written: its scale and offset are held at 1 and 0. Raises
    InputError that names the character for anything that cannot be read.
    """
    reader = _Reader(text, words(text), library.extended(), symbols or {})
    tree = reader.sum(0)
    if reader.here.kind != "end":
        raise reader.complain(f"expected an operator, found {reader.here.text!r}")
    if len(tree) > MAX_TOKENS:
        raise complain(text, 0, f"{len(tree)} tokens, and at most {MAX_TOKENS} are allowed")
    tokens, numbers = [t for t, _ in tree], [v for _, v in tree if v is not None]
    return expression(tokens, reader.library, numbers, 1.0, 0.0)


def read_form(
    text: str, library: Library, symbols: Mapping[str, str]
) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """Return the prefix names of a formula with unknown functions, and their columns.

    An unknown function f(x, y) is one name, "f(", with the columns it is given; a number, free or
    written, is "#".
    """
    reader = _Reader(text, words(text), library.extended(), symbols, holes={})
    tree = reader.sum(0)
    if reader.here.kind != "end":
        raise reader.complain(f"expected an operator, found {reader.here.text!r}")
    assert reader.holes is not None
    unknown = list(reader.holes)
    plain = reader.library.names
    names = [
        unknown[_HOLE - token] if token <= _HOLE
        else "#" if token == reader.library.constant_id
        else plain[token]
        for token, _ in tree
    ]  # fmt: skip
    return names, reader.holes


_HOLE = -2  # the token of the first unknown function of a form; the next is one lower

Piece = list[tuple[int, float | None]]  # tokens, each with its number where it is a constant


@dataclass
class _Reader:
    text: str
    words: Sequence[Word]
    library: Library
    symbols: Mapping[str, str]
    at: int = field(default=0)
    holes: dict[str, tuple[str, ...]] | None = None  # unknown functions and their columns

    @property
    def here(self) -> Word:
        return self.words[self.at]

    def complain(self, what: str) -> InputError:
        return complain(self.text, self.here.at, what)

    def take(self, *texts: str) -> str:
        """Return the sign here and go on, if it is one of `texts`; else an empty text."""
        word = self.here
        if word.kind == "sign" and word.text in texts:
            self.at += 1
            return word.text
        return ""

    def sum(self, depth: int) -> Piece:
        if depth > MAX_DEPTH:
            raise self.complain(f"nested deeper than {MAX_DEPTH} levels; write it flatter")
        left = self.product(depth)
        while sign := self.take("+", "-"):
            left = self._apply("add" if sign == "+" else "sub", left, self.product(depth))
        return left

    def product(self, depth: int) -> Piece:
        left = self.signed(depth)
        while sign := self.take("*", "/"):
            left = self._apply("mul" if sign == "*" else "div", left, self.signed(depth))
        return left

    def signed(self, depth: int) -> Piece:
        if depth > MAX_DEPTH:
            raise self.complain(f"nested deeper than {MAX_DEPTH} levels; write it flatter")
        if self.take("+"):
            return self.signed(depth + 1)
        if self.take("-"):
            inner = self.signed(depth + 1)
            value = _number(inner)
            return self._constant(-value) if value is not None else self._apply("neg", inner)
        return self.power(depth)

    def power(self, depth: int) -> Piece:
        base = self.atom(depth)
        if not self.take("**", "^"):
            return base
        exponent = self.signed(depth + 1)
        short = _POWERS.get(_number(exponent) or 0.0)
        return self._apply(short, base) if short else self._apply("pow", base, exponent)

    def atom(self, depth: int) -> Piece:
        word = self.here
        if self.take("("):
            inner = self.sum(depth + 1)
            self._close()
            return inner
        if word.kind not in ("number", "name", "quoted"):
            raise self.complain(f"expected a number, a column or a function, found {word.text!r}"
                                if word.text else "the formula ends too early")  # fmt: skip
        self.at += 1
        if word.kind == "number":
            return self._constant(float(word.text))
        if word.kind == "name" and self.take("("):
            return self._call(word, depth)
        return self._leaf(word)

    def _call(self, word: Word, depth: int) -> Piece:
        name = _ALIASES.get(word.text, word.text)
        token = self.library.operator_ids.get(name)
        if token is None and self.holes is not None:
            return self._unknown(word, self.holes)
        if token is None:
            hint = nearest(name, self.library.operator_ids)
            raise complain(self.text, word.at, f"unknown function {word.text!r}: {hint}")
        args = [self._condition(depth + 1) if name in ("where", "unless") else self.sum(depth + 1)]
        while self.take(","):
            args.append(self.sum(depth + 1))
        self._close()
        if name == "where" and len(args) == 3:
            return self._either(word, *args)
        arity = self.library.arities[token]
        if len(args) != arity:
            raise complain(
                self.text, word.at, f"{word.text} takes {arity} argument(s), found {len(args)}"
            )
        return self._apply(name, *args)

    def _unknown(self, word: Word, holes: dict[str, tuple[str, ...]]) -> Piece:
        """Return an unknown function of the columns that are its arguments."""
        name, columns = f"{word.text}(", []
        if name in holes:
            text = f"{word.text} stands twice, and each unknown function is searched by itself"
            raise complain(self.text, word.at, f"{text}; give it another name")
        while True:
            here = self.here
            if here.kind not in ("name", "quoted"):
                raise self.complain("expected a column as an argument of an unknown function")
            self.at += 1
            ((token, value),) = self._leaf(here)
            if value is not None or not token < self.library.first_literal:
                raise complain(self.text, here.at, f"{here.text!r} is no column")
            columns.append(self.library.names[token])
            if not self.take(","):
                break
        self._close()
        holes[name] = tuple(columns)
        return [(_HOLE - len(holes) + 1, None)]

    def _condition(self, depth: int) -> Piece:
        """Return what is above 0 where the condition holds: `a > b`, `a < b`, or a number."""
        left = self.sum(depth)
        sign = self.take(">", "<")
        if not sign:
            return left
        right = self.sum(depth)
        if _number(right) == 0.0 and sign == ">":
            return left
        return self._apply("sub", left, right) if sign == ">" else self._apply("sub", right, left)

    def _either(self, word: Word, condition: Piece, yes: Piece, no: Piece) -> Piece:
        """Return where(condition, yes, no) as the sum of both halves."""
        if any(value is not None and math.isnan(value) for _, value in condition):
            text = (
                "a fitted number in the condition would be fitted twice; write where(c, a - b) + b"
            )
            raise complain(self.text, word.at, text)
        return self._apply(
            "add", self._apply("where", condition, yes), self._apply("unless", condition, no)
        )

    def _leaf(self, word: Word) -> Piece:
        name = word.text
        if word.kind == "quoted":
            headers = {header: stand_in for stand_in, header in self.symbols.items()}
            name = headers.get(name, name)
        token = self.library.leaf_ids.get(name)
        if token is not None:
            return [(token, None)]
        if word.kind == "name" and name in _NAMED:
            return self._constant(_NAMED[name])
        if word.kind == "name" and _FREE.fullmatch(name):
            return self._constant(math.nan)
        if name in self.symbols.values():
            hint = f"it means something in formulas; the column is written `{name}`"
        elif name in self.library.operator_ids:
            hint = "it is a function, and needs its arguments in brackets"
        else:
            hint = nearest(name, [*self.library.variables, *self.symbols.values()])
            hint += " (a number to be fitted is one letter: a, k, c0)"
        raise complain(self.text, word.at, f"unknown column {name!r}: {hint}")

    def _close(self) -> None:
        if not self.take(")"):
            found = repr(self.here.text) if self.here.text else "the end"
            raise self.complain(f"expected ')', found {found}")

    def _constant(self, value: float) -> Piece:
        if math.isinf(value):
            raise self.complain("a number is too large for double precision")
        return [(self.library.constant_id, value)]

    def _apply(self, name: str, *args: Piece) -> Piece:
        return [(self.library.operator_ids[name], None), *(t for arg in args for t in arg)]


def _number(piece: Piece) -> float | None:
    """Return the number that a piece is, None where it is anything else or still free."""
    value = piece[0][1]
    return None if len(piece) > 1 or value is None or math.isnan(value) else value
