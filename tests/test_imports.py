"""The shape of the program: imports point one way, help loads nothing heavy, nothing is eval'd."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("designer", "tasks", "oracles", "cli")
SOURCES = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]
HEAVY = ("torch", "rdkit", "sympy", "sklearn", "skops", "scipy", "pydantic", "numpy")


def modules(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            yield node.lineno, node.module or ""


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0]
    above = LAYERS[LAYERS.index(layer) + 1 :]
    for line, module in modules(parse(path)):
        assert module.split(".")[0] not in above, f"{path}:{line}: {layer} imports {module}"


def test_the_core_knows_no_domain() -> None:
    for path in sorted((ROOT / "designer").rglob("*.py")):
        for line, module in modules(parse(path)):
            top = module.split(".")[0]
            assert top not in ("rdkit", "sympy", "sklearn", "skops", "typer", "rich"), (
                f"{path}:{line}: the core imports {module}"
            )


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def faults(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield what runs text as code: eval, exec, pickle, a shell, sympy's text readers."""
    for node, name in calls(tree):
        last = name.rpartition(".")[2]
        named = {k.arg: k.value for k in node.keywords}
        plain = name in ("eval", "exec", "compile", "__import__", "os.system", "os.popen")
        if plain or last in ("sympify", "parse_expr", "lambdify"):
            yield node.lineno, name
        shell = named.get("shell")
        if shell is not None and not (isinstance(shell, ast.Constant) and shell.value is False):
            yield node.lineno, "shell"
        weights = named.get("weights_only")
        if name == "torch.load" and not (isinstance(weights, ast.Constant) and weights.value):
            yield node.lineno, "torch.load without weights_only=True"
    for line, module in modules(tree):
        if module.split(".")[0] in ("pickle", "dill", "cloudpickle", "marshal", "shelve"):
            yield line, module


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_text_is_run_as_code(path: Path) -> None:
    assert list(faults(parse(path))) == []


@pytest.mark.parametrize(
    "text",
    [
        "eval('1')",
        "import pickle",
        "from joblib import x\nexec(x)",
        "subprocess.run('ls', shell=True)",
        "sympy.sympify(text)",
        "torch.load(f, weights_only=False)",
        "torch.load(f)",
    ],
)
def test_the_scan_finds_what_it_looks_for(text: str) -> None:
    assert list(faults(ast.parse(text)))


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom cli.main import invoke\ncode = invoke(['--help'])\n"
        f"print(code, [m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "0 []"
    assert "Discover an equation in a CSV" in done.stdout
