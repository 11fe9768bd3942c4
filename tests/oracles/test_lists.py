"""Objects that judge lists, as other packages have them, named in a user's file."""

from __future__ import annotations

from pathlib import Path

from drugs import drugs

from oracles.registry import resolve_oracle

FILE = '''
class Tdc:
    """As an oracle of Therapeutics Data Commons: called with a text or a list of texts."""

    evaluator_func = len
    name = "length"

    def __call__(self, *args, **kwargs):
        given = args[0]
        return [float(len(s)) for s in given] if isinstance(given, list) else float(len(given))


class Guacamol:
    """As a GuacaMol scoring function."""

    def score(self, smiles):
        return float(len(smiles))

    def score_list(self, smiles_list):
        return [self.score(s) for s in smiles_list]


class Single:
    """With `score` of one text only."""

    def score(self, smiles):
        return float(len(smiles))


class Plain:
    """Called with one text, as its annotation says."""

    def __call__(self, smiles: str) -> float:
        return float(len(smiles))


tdc, guacamol, single, plain = Tdc(), Guacamol(), Single(), Plain()
'''


def test_their_objects_are_oracles(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(FILE)
    designs = drugs()[:3]
    for name in ("tdc", "guacamol", "single", "plain"):
        oracle = resolve_oracle(f"{file}:{name}", allow_plugins=True)()
        found = oracle(designs).columns[name]
        assert found.tolist() == [float(len(design.text)) for design in designs]
