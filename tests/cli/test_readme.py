"""The README's examples are complete, short, and work as they stand."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = FENCE.findall(README)
FILES = {name: text for kind, name, text in BLOCKS if name}
COMMANDS = [text for kind, name, text in BLOCKS if kind == "sh"]


def commands_with(word: str) -> str:
    """Return the README's shell block that holds `word`."""
    found = [text for text in COMMANDS if word in text]
    assert len(found) == 1, f"{len(found)} blocks hold {word!r}"
    return found[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
ENV = os.environ | {"PATH": PATH, "OMP_NUM_THREADS": "1"}


def run(script: str, folder: Path) -> str:
    """Return what the commands print; the program is the one of this Python."""
    done = subprocess.run(
        ["sh", "-ec", script],
        cwd=folder,
        env=ENV,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_examples_are_short() -> None:
    assert {"fluorine.py", "fluorine.toml", "peptides.py", "peptides.toml"} <= set(FILES)
    for name, text in FILES.items():
        assert len(text.splitlines()) < 40, name


def test_own_oracle(folder: Path) -> None:
    said = run(commands_with("fluorine.py:fluorine"), folder)
    last = said.splitlines()[-1]
    value, design = last.split("\t")
    assert float(value) == pytest.approx(3 * 18.998 / 70.01, abs=1e-3)
    assert design == "FC(F)F"


def test_own_oracle_in_a_campaign(folder: Path) -> None:
    assert "qed" in run(commands_with("fluorine.toml"), folder)


def test_own_task(folder: Path) -> None:
    run(
        commands_with("peptides.toml")
        + "designer report runs/* --json --allow-plugins > found.json",
        folder,
    )
    best = json.loads((folder / "found.json").read_text())["best"][0]
    scope = runpy.run_path(str(folder / "peptides.py"))
    assert best["reward"] == pytest.approx(scope["moment"](best["design"]))
    known = scope["moment"]("KLLKLLKLLKLL")  # a textbook amphipathic helix
    assert best["reward"] > known and 8 <= len(best["design"]) <= 12


def test_from_python(folder: Path) -> None:
    said = run("python fold.py", folder)
    energies = [line for line in said.splitlines() if line.startswith("-")]
    assert float(energies[0].split()[0]) <= -7


def test_own_estimator(folder: Path) -> None:
    page = (ROOT / "docs" / "policy-gradients.md").read_text(encoding="utf-8")
    blocks = {name: text for kind, name, text in FENCE.findall(page) if name}
    (table,) = (text for kind, _, text in FENCE.findall(page) if "RankReinforce" in text[:50])
    (folder / "ranks.py").write_text(blocks["ranks.py"], encoding="utf-8")
    text = table + FILES["peptides.toml"].replace("steps = 20", "steps = 2")
    (folder / "ranks.toml").write_text(text, encoding="utf-8")
    said = json.loads(run("designer run ranks.toml --allow-plugins --json", folder))
    assert said["best"] and said["stopped"] == "steps"
    (folder / "three.py").write_text("def three(lr: float = 0.1) -> int:\n    return 3\n")
    (folder / "three.toml").write_text(text.replace("ranks.py:RankReinforce", "three.py:three"))
    wrong = run("designer run three.toml --allow-plugins 2>&1 || [ $? -eq 3 ]", folder)
    assert "is int, expected learner settings" in wrong


def test_the_three_commands_of_the_start(folder: Path) -> None:
    script = commands_with("designer equation data/planets.csv")
    for line in script.splitlines():
        assert line.startswith("designer ")
        run(f"{line.replace('data/', str(ROOT) + '/data/')} --set campaign.steps=1 -q", folder)
