"""Expressions as source code: a function in Python, NumPy, torch or C."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Literal

from designer.errors import InputError, nearest
from tasks.symbolic.language.expression import Expression

Language = Literal["python", "numpy", "torch", "c"]

_SIGNS = {"add": "({} + {})", "sub": "({} - {})", "mul": "({} * {})", "div": "({} / {})",
          "neg": "(-{})", "inv": "(1.0 / {})"}  # fmt: skip
_PYTHON = {**_SIGNS, "pow": "({} ** {})", "square": "({} ** 2)", "cube": "({} ** 3)"}
_NAMES: Mapping[str, Mapping[str, str]] = {
    "python": {"abs": "abs", "min": "min", "max": "max"},
    "numpy": {"abs": "np.abs", "min": "np.minimum", "max": "np.maximum", "asin": "np.arcsin",
              "acos": "np.arccos", "atan": "np.arctan"},
    "torch": {"min": "torch.minimum", "max": "torch.maximum"},
    "c": {"abs": "fabs", "min": "fmin", "max": "fmax"},
}  # fmt: skip
_CHOICES: Mapping[str, Mapping[str, str]] = {
    name: {
        "python": f"({{1}} if {{0}} {sign} 0 else 0.0)",
        "numpy": f"np.where({{0}} {sign} 0, {{1}}, 0.0)",
        "torch": f"torch.where({{0}} {sign} 0, {{1}}, 0.0)",
        "c": f"({{0}} {sign} 0 ? {{1}} : 0.0)",
    }
    for name, sign in (("where", ">"), ("unless", "<="))
}
_NAME = re.compile(r"(?<![\w.])[A-Za-z]")  # where a word begins that is no number
_PREFIX = {"python": "math.", "numpy": "np.", "torch": "torch.", "c": ""}
_HEAD = {"python": "import math\n\n\n", "numpy": "import numpy as np\n\n\n",
         "torch": "import torch\n\n\n", "c": "#include <math.h>\n\n"}  # fmt: skip


_TAKEN = {
    "python": {"math"}, "numpy": {"np"}, "torch": {"torch"},
    "c": {
        "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else",
        "enum", "extern", "float", "for", "goto", "if", "inline", "int", "long", "main",
        "register", "restrict", "return", "short", "signed", "sizeof", "static", "struct",
        "switch", "typedef", "union", "unsigned", "void", "volatile", "while",
    },
}  # fmt: skip


def to_code(
    expression: Expression, language: Language = "python", name: str = "f", note: str = ""
) -> str:
    """Return a function of the variables, in the library's order, in full double precision.

    `note` becomes a comment. A variable whose name means something in the
    language gets an underscore.

    Raises InputError for an unknown language, for constants that are not fitted yet, and for an
    operator that the language has no name for (your own ones).
    """
    if language not in _HEAD:
        raise InputError(f"language {language!r}: {nearest(language, _HEAD)}")
    if any(math.isnan(value) for value in expression.constants):
        raise InputError("the expression has constants that are not fitted yet; fit it first")
    body = _body(expression, language)
    names = [_safe(n, language) for n in expression.library.variables]
    note = " ".join(note.split())
    if language == "c":
        said = f"/* {note.replace('*/', '* /')} */\n" if note else ""
        arguments = ", ".join(f"double {n}" for n in names)
        return f"{_HEAD[language]}{said}double {name}({arguments}) {{\n    return {body};\n}}\n"
    said = f"    # {note}\n" if note else ""
    return f"{_HEAD[language]}def {name}({', '.join(names)}):\n{said}    return {body}\n"


def _safe(name: str, language: str) -> str:
    return f"{name}_" if name in _TAKEN[language] else name


def _body(expression: Expression, language: str) -> str:
    library = expression.library
    stack: list[str] = []
    left = list(expression.constants)
    for token in reversed(expression.tokens):
        if token < library.first_variable:
            operator = library.operators[token]
            args = [stack.pop() for _ in range(operator.arity)]
            stack.append(_applied(operator.name, args, language))
        elif token < library.first_literal:
            stack.append(_safe(library.names[token], language))
        elif token < library.constant_id:
            stack.append(_number(library.values[token - library.first_literal]))
        else:
            stack.append(_number(left.pop()))
    text = stack[-1]
    if not math.isnan(expression.scale) and expression.scale != 1.0:
        text = f"{_number(expression.scale)} * {text}"
    if not math.isnan(expression.offset) and expression.offset != 0.0:
        text = f"{text} + {_number(expression.offset)}"
    return text


def _applied(name: str, args: list[str], language: str) -> str:
    if language == "c" and name in ("square", "cube"):
        return f"pow({args[0]}, {2 if name == 'square' else 3})"
    if language == "torch" and name not in _PYTHON:
        args = [_tensor(arg) for arg in args]
    if name in _CHOICES:
        return _CHOICES[name][language].format(*args)
    form = (_SIGNS if language == "c" else _PYTHON).get(name)
    if form is not None:
        return form.format(*args)
    known = {"pow", "min", "max", "sqrt", "exp", "log", "sin", "cos", "tan", "asin", "acos",
             "atan", "sinh", "cosh", "tanh", "abs"}  # fmt: skip
    if name not in known:
        raise InputError(f"operator {name!r} has no name in {language}; write that part by hand")
    called = _NAMES[language].get(name, _PREFIX[language] + name)
    return f"{called}({', '.join(args)})"


def _tensor(text: str) -> str:
    """Return an argument of a torch function, which takes no plain number."""
    return text if _NAME.search(text) else f"torch.tensor({text}, dtype=torch.float64)"


def _number(value: float) -> str:
    return f"({value!r})" if value < 0 else repr(float(value))
