"""Text in and out: the parser, infix text, sympy, LaTeX, pictures."""

import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from designer.errors import InputError
from designer.testing import walk
from tasks.symbolic.language.expression import expression
from tasks.symbolic.language.library import library
from tasks.symbolic.language.parser import parse
from tasks.symbolic.mask.environment import Expressions
from tasks.symbolic.output import view
from tasks.symbolic.output.export import gathered, to_latex, to_sympy
from tasks.symbolic.tables.names import safe_names
from tasks.symbolic.tables.table import make_table

LIBRARY = library("all", ["x", "y"], ["2", "pi"], True)
X = np.random.default_rng(0).uniform(0.2, 1.5, (9, 2))


def designs(count=150, seed=0):
    env = Expressions(LIBRARY, max_length=14)
    rng = np.random.default_rng(seed)
    out = []
    for d in env.decode(walk(env, count, seed)[0]):
        constants = rng.normal(size=len(d.constants)) * 3
        out.append(d.fitted(constants.tolist(), float(rng.normal()), float(rng.normal())))
    return out


def same(one, two):
    return np.allclose(one, two, rtol=1e-7, atol=1e-9, equal_nan=True)


def test_text_reads_back_as_the_same_function():
    for design in designs():
        assert same(parse(design.text, LIBRARY).predict(X), design.predict(X)), design.text


def test_sympy_reads_the_text_as_the_tree_it_was_built_from():
    points = [dict(zip(("x", "y"), row, strict=True)) for row in X[:3]]
    compared = 0
    for design in designs(60):
        tree, read = to_sympy(design), sympy.sympify(design.text)
        if read.atoms(sympy.core.function.AppliedUndef):
            read = sympy.sympify(str(tree))  # where and unless: sympy knows them as Piecewise
        values = design.predict(X[:3])
        for point, value in zip(points, values, strict=True):
            if not math.isfinite(value) or abs(value) > 1e12:
                continue
            compared += 1
            for other in (tree, read):
                assert complex(other.subs(point).evalf()).real == pytest.approx(value, rel=1e-6)
    assert compared > 60


def test_constants_that_are_not_fitted_have_names():
    lib = library(["add", "mul"], ["x", "c0"], (), True)
    design = expression([0, 1, 4, 2, 4], lib)
    assert design.text == "c1*x + c2" and design.complexity == 5 and design.parameters == 2
    fitted = design.fitted([-1.5, -2.0], 3.0, -0.5)
    assert fitted.text == "3*(-1.5*x + (-2)) + (-0.5)"
    assert (fitted.complexity, fitted.parameters, fitted.key) == (9, 4, design.key)


@pytest.mark.parametrize(("text", "wanted"), [
    ("x - y - 1", "x - y - 1"), ("x - (y - 1)", "x - (y - 1)"), ("-x**2", "-x**2"),
    ("(-x)**2", "(-x)**2"), ("2**-x", "2**(-x)"), ("x^y^2", "x**y**2"), ("x/y/2", "x/y/2"),
    ("x/(y*2)", "x/(y*2)"), ("+x", "x"), ("ln(x) + Abs(y)", "log(x) + Abs(y)"),
    ("1e-3*x", "0.001*x"), (".5*x", "0.5*x"), ("x**0.5", "sqrt(x)"), ("max(x, y)", "Max(x, y)"),
    ("a*x + b", "c0*x + c1"), ("x**-1", "1/x"), ("sqrt(x)*E", f"sqrt(x)*{math.e}"),
])  # fmt: skip
def test_formulas_are_read_as_people_mean_them(text, wanted):
    assert parse(text, LIBRARY).text == wanted.replace("x**y**2", "x**(y**2)")
    if "a*x" not in text and "Abs" not in text:
        value = sympy.sympify(text.replace("^", "**")).subs({"x": X[0, 0], "y": X[0, 1]})
        assert float(parse(text, LIBRARY).predict(X[:1])[0]) == pytest.approx(float(value))


@pytest.mark.parametrize(("text", "message"), [
    ("", "character 1, at its end: the formula ends too early"),
    ("x +", "character 4, at its end"), ("x + * y", r"character 5, before '\* y'"),
    ("x y", "expected an operator, found 'y'"), ("(x", r"expected '\)', found the end"),
    ("sine(x)", "unknown function 'sine': did you mean 'sin'"),
    ("xx + 1", "unknown column 'xx': did you mean 'x'"), ("max(x)", "takes 2"),
    ("sin(x, y)", r"takes 1 argument\(s\), found 2"), ("x; y", "unexpected ';'"),
    ("__import__('os')", "character 12, .*unexpected"),
        ("1e999*x", "too large"), ("x.y", "unexpected"),
    ("`period [d", "unexpected '`'"), ("`speed` + x", "unknown column 'speed'"),
    ("(" * 200 + "x" + ")" * 200, "nested deeper than 60"), ("-" * 300 + "x", "nested deeper"),
    ("x" + "+x" * 400, "at most 500"), ("x" * 20000, "20000 characters"), ("x\0", "unexpected"),
])  # fmt: skip
def test_what_cannot_be_read_names_the_place(text, message):
    with pytest.raises(InputError, match=message) as caught:
        parse(text, LIBRARY)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="xy0123.+-*/^()sincoqrt ,`ea", max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text):
    try:
        design = parse(text, LIBRARY)
    except InputError:
        return
    assert parse(design.text.replace("c0", "a").replace("c1", "b"), LIBRARY).complexity > 0


def test_numbers_in_a_formula_belong_to_its_key():
    two, three, free = (parse(t, LIBRARY).key for t in ("2.5*x", "3.5*x", "a*x"))
    assert len({two, three, free}) == 3 and parse("x*2.5", LIBRARY).key == two


def test_headers_that_nobody_can_mistake_keep_their_names():
    headers = ["period", "lambda", "I", "period [d]", "x1", "c0", "beta", "max", "a b", "x3"]
    names, symbols = safe_names(headers)
    assert names == ("period", "x1_", "x2", "x3_", "x1", "x5", "x6", "x7", "x8", "x3")
    assert symbols == {n: h for n, h in zip(names, headers, strict=True) if n != h}
    for name in names:
        assert sympy.sympify(name) == sympy.Symbol(name)


def test_quoted_headers_are_read():
    lib = library(["mul"], ["x0", "y"])
    assert parse("`period [d]`*y", lib, {"x0": "period [d]"}).text == "x0*y"


def test_latex_rounds_the_numbers():
    design = parse("1.23456789*sqrt(x)/y", LIBRARY)
    assert to_latex(design, 3) == r"\frac{1.23 \sqrt{x}}{y}"


def test_numbers_that_only_multiply_are_made_one() -> None:
    assert gathered(parse("-607.5*(-2.0/x)", LIBRARY), 4) == "1215.0/x"
    assert gathered(parse("2.5*x + sin(0.5*y)", LIBRARY)) is None


def test_the_terminal_shows_equation_and_tree():
    shown = view.show(parse("2.5*x + sin(y)", LIBRARY), "z")
    assert shown.splitlines() == [
        "z = 2.5*x + sin(y)", "  add", "  ├ mul", "  │ ├ 2.5", "  │ └ x", "  └ sin", "    └ y",
    ]  # fmt: skip


def test_pictures_are_valid_xml_whatever_the_headers_say():
    rng = np.random.default_rng(0)
    for width in (1, 2):
        x = rng.uniform(1, 2, (20, width))
        names = ['<a> & "b"', "y"][:width]
        table = make_table(x, x[:, 0] ** 2, names, target="</text><script>")
        lib = library(["mul", "log", "sub"], table.variables)
        first = lib.first_variable
        exprs = [expression([0, first, first], lib), expression([1, 2, first, first], lib)]
        root = ElementTree.fromstring(view.draw(exprs, table))
        assert root.tag.endswith("svg")
        circles = [e for e in root.iter() if e.tag.endswith("circle")]
        assert len(circles) >= 20 and not [e for e in root.iter() if e.tag.endswith("script")]
    assert ElementTree.fromstring(view.draw([], table)).tag.endswith("svg")


def test_a_plot_stays_in_its_frame_with_round_numbers_around() -> None:
    x = np.linspace(0.05, 1.95, 20)[:, None]
    table = make_table(x, 1 / (x[:, 0] - 0.98), ["x"])
    pole = parse("1/(x - 0.98)", library("all", ["x"], constant=True))
    root = ElementTree.fromstring(view.draw([pole], table))
    said = [e.text for e in root.iter() if e.tag.endswith("text")]
    assert {"0", "0.5", "1", "1.5", "2"} <= set(said) and "x" in said and "y" in said
    windows = [e for e in root if e.tag.endswith("svg")]  # what is drawn outside is cut off
    assert len(windows) == 1 and any(e.tag.endswith("path") for e in windows[0])
    assert not any(e.tag.endswith("circle") for e in root)


def test_prediction_and_measurement_share_their_axes() -> None:
    x = np.random.default_rng(1).uniform(1, 2, (20, 2))
    table = make_table(x, x[:, 0], ["x", "y"])
    twice = parse("40*x", library("all", ["x", "y"], constant=True))
    root = ElementTree.fromstring(view.draw([twice], table))
    said = [e.text for e in root.iter() if e.tag.endswith("text")]
    assert said.count("20") == said.count("80") == 2


def texts(document):
    return [e.text for e in ElementTree.fromstring(document).iter() if e.tag.endswith("text")]


def test_axes_have_round_numbers_and_wide_data_logarithmic_ones():
    x = np.array([[0.4], [1.0], [5.0], [30.0]])
    wide = make_table(x, 365 * x[:, 0] ** 1.5, ["a"], target="days")
    lib = library(["mul", "sqrt"], wide.variables)
    said = texts(view.draw([parse("365*a*sqrt(a)", lib)], wide))
    assert said[1:3] == ["a", "days"] and said[3:] == ["1", "10", "100", "1,000", "10,000"]
    narrow = make_table(x, x[:, 0] - 3, ["a"], target="left")
    lib = library(["sub"], narrow.variables)
    said = texts(view.draw([parse("a - 3", lib)], narrow))
    across = ["0", "5", "10", "15", "20", "25", "30"]
    assert said[3:] == across + across[:-1]


def test_equal_functions_are_drawn_once_and_stand_ins_explained():
    x = np.linspace(1, 2, 9)[:, None]
    table = make_table(x, x[:, 0] ** 2, ["v [m/s]"], target="E")
    lib = library(["mul", "square", "add"], table.variables)
    exprs = [parse(text, lib) for text in ("x0*x0", "x0**2", "x0*x0 + x0")]
    titles = [said for said in texts(view.draw(exprs, table)) if " = " in (said or "")]
    assert titles == [
        "E = x0*x0, where x0 is v [m/s]", "E = x0*x0 + x0, where x0 is v [m/s]",
    ]  # fmt: skip


def test_a_curve_stays_in_its_frame_and_breaks_where_it_is_nowhere():
    x = np.linspace(-1, 1, 9)[:, None]
    table = make_table(x, x[:, 0], ["x"])
    lib = library(["log", "div"], table.variables)
    document = ElementTree.fromstring(view.draw([parse("log(x)", lib)], table))
    inner = [e for e in document.iter() if e.tag.endswith("svg")][1]
    curve = inner[0].attrib["d"]
    assert curve.count("M") == 1 and 95 <= curve.count("L") <= 105  # only the positive half
