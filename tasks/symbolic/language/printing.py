"""Expressions as text: infix that sympy parses, with as few brackets as the order allows."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.symbolic.language.library import Library

# symbol, how tightly the result binds, and how tightly each operand must
_INFIX = {
    "add": (" + ", 10, 9, 10),
    "sub": (" - ", 10, 9, 11),
    "mul": ("*", 20, 20, 20),
    "div": ("/", 20, 20, 21),
    "pow": ("**", 30, 31, 31),
}
_PREFIX = {"neg": ("-", 9, 20), "inv": ("1/", 20, 21)}
_POSTFIX = {"square": ("**2", 30, 31), "cube": ("**3", 30, 31)}
_ATOM, _NEGATIVE = 100, 25


def infix(
    tokens: Sequence[int],
    library: Library,
    constants: Sequence[str] = (),
    outer: tuple[str, str] = ("1", "0"),
) -> str:
    """Return the text of a complete prefix sequence.

    `constants` are the texts of its constants, in order of writing; `outer` those of the scale
    and the offset around it.
    """
    stack: list[tuple[str, int]] = []
    left = list(constants)
    for token in reversed(tokens):
        if token < library.first_variable:
            operator = library.operators[token]
            args = [stack.pop() for _ in range(operator.arity)]
            stack.append(_apply(operator.name, operator.symbol or operator.name, args))
        elif token == library.constant_id:
            stack.append(_number(left.pop()))
        else:
            name = library.names[token]
            stack.append(("E" if name == "e" and token >= library.first_literal else name, _ATOM))
    body = stack[-1]
    scale, offset = outer
    if scale != "1":
        body = _apply("mul", "", [_number(scale), body])
    if offset != "0":
        body = _apply("add", "", [body, _number(offset)])
    return body[0]


def number(value: float, digits: int | None = None) -> str:
    """Return the shortest text that reads back as `value`, or `digits` significant ones."""
    text = repr(float(value)) if digits is None else f"{value:.{digits}g}"
    return text[:-2] if text.endswith(".0") else text


def tree(tokens: Sequence[int], library: Library, constants: Sequence[str] = ()) -> list[str]:
    """Return the expression as an indented tree, a line a token."""
    lines: list[str] = []
    queue = list(constants)

    def draw(at: int, head: str, tail: str) -> int:
        token = tokens[at]
        name = queue.pop(0) if token == library.constant_id and queue else library.names[token]
        lines.append(head + name)
        at += 1
        arity = library.arities[token]
        for child in range(arity):
            last = child == arity - 1
            at = draw(at, tail + ("└ " if last else "├ "), tail + ("  " if last else "│ "))
        return at

    draw(0, "", "")
    return lines


def _number(text: str) -> tuple[str, int]:
    return (text, _NEGATIVE) if text.startswith("-") else (text, _ATOM)


def _apply(name: str, symbol: str, args: list[tuple[str, int]]) -> tuple[str, int]:
    if name in _INFIX:
        sign, binds, left, right = _INFIX[name]
        return _wrap(args[0], left, True) + sign + _wrap(args[1], right), binds
    if name in _PREFIX:
        sign, binds, need = _PREFIX[name]
        return sign + _wrap(args[0], need), binds
    if name in _POSTFIX:
        sign, binds, need = _POSTFIX[name]
        return _wrap(args[0], need, True) + sign, binds
    return f"{symbol}({', '.join(text for text, _ in args)})", _ATOM


def _wrap(operand: tuple[str, int], need: int, leads: bool = False) -> str:
    """Return an operand, in brackets where it binds too loosely or follows a sign with one."""
    text, binds = operand
    return text if binds >= need and (leads or not text.startswith("-")) else f"({text})"
