"""SMILES as tokens: cutting text, the tables of what each token is, and vocabularies.

A token is an atom (`C`, `Cl`, `c`, `[C@@H]`, `[nH]`), a bond (`-`, `=`, `#`, `/`, `\\`), a branch
bracket, or a ring number (`1` to `9`, `%10` to `%99`). One fragment only: `.` is refused, and so
are wildcards, `:` and `$`, which no drug-like molecule needs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from designer.errors import InputError

MAX_CHARACTERS = 4000
MAX_ATOMS = 500
MAX_RINGS = 100

_TOKEN = re.compile(
    r"(?P<bracket>\[[^\[\]]*\])|(?P<atom>Cl|Br|[BCNOPSFI]|[bcnops])"
    r"|(?P<bond>[-=#/\\:$])|(?P<ring>%[0-9]{2}|[0-9])|(?P<branch>[()])"
)
_BRACKET = re.compile(
    r"\[(?P<isotope>[0-9]{0,3})(?P<symbol>se|as|te|[A-Z][a-z]?|[bcnops])"
    r"(?P<chiral>@{0,2})(?P<h>H[0-9]?)?(?P<charge>[+-][0-9]?|\+\+|--)?(?::[0-9]+)?\]"
)
BONDS = {"-": 1, "=": 2, "#": 3, "/": 1, "\\": 1}

# Total valences (bond orders and hydrogens) of a neutral atom; the first is filled with implicit
# hydrogens, the others are reached by explicit bonds only (S 4 and 6, P 5).
VALENCES: dict[str, tuple[int, ...]] = {
    "H": (1,), "B": (3,), "C": (4,), "N": (3,), "O": (2,), "F": (1,), "Si": (4,), "P": (3, 5),
    "S": (2, 4, 6), "Cl": (1,), "Se": (2, 4, 6), "Br": (1,), "I": (1,),
}  # fmt: skip
# A charged atom has the valences of the element with as many electrons: N+ is as C, O+ as N.
_PERIODS = (("B", "C", "N", "O", "F"), ("Al", "Si", "P", "S", "Cl"), ("Ga", "Ge", "As", "Se", "Br"))

DEFAULT_VOCABULARY: tuple[str, ...] = (
    "C", "N", "O", "S", "F", "Cl", "Br", "I", "P", "c", "n", "o", "s", "(", ")",
    "-", "=", "#", "/", "\\", "1", "2", "3", "4", "5", "6", "7", "8", "9",
    "[nH]", "[C@H]", "[C@@H]", "[C@]", "[C@@]", "[N+]", "[NH+]", "[NH2+]", "[NH3+]", "[N-]",
    "[NH-]", "[O-]", "[S-]", "[n+]", "[nH+]", "[n-]", "[o+]", "[s+]", "[S@]", "[S@@]", "[S+]",
    "[S@+]", "[S@@+]", "[SH+]", "[OH+]", "[C-]", "[CH-]", "[CH2-]", "[P@]", "[P@@]", "[P+]",
    "[PH]", "[PH+]", "[PH2]", "[P@@H]", "[O+]", "[B-]", "B", "[Si]",
)  # fmt: skip
# Without these a walk could not always be finished, so every vocabulary has them.
ESSENTIAL = (
    "C",
    "c",
    "n",
    "o",
    "(",
    ")",
    "-",
    "=",
    "#",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
)


@dataclass(frozen=True)
class Atom:
    """What an atom token means: `free` bond orders it offers at most, and at which sums it rests.

    `rests[k]` is True where the atom may end with bond orders summing to k; `aromatic` atoms of
    kind `pi` need a double bond in the Kekule form unless they have one outside the ring, those
    of kind `lone` need none, and `n` needs one with two neighbours and none with three.
    """

    symbol: str
    aromatic: bool
    free: int
    rests: tuple[bool, ...]
    pi: str  # "", "pi", "lone" or "n"


def tokenize(smiles: str) -> list[str]:
    """Return the tokens of a SMILES text.

    Raises InputError naming the position where the text is not one SMILES fragment, and where it
    is too large to be handed to RDKit (characters, atoms, rings).
    """
    if len(smiles) > MAX_CHARACTERS:
        raise InputError(
            f"SMILES of {len(smiles)} characters: at most {MAX_CHARACTERS} are accepted"
        )
    if not smiles:
        raise InputError("empty SMILES: expected a molecule such as 'CCO'")
    tokens, at, atoms, rings = [], 0, 0, 0
    while at < len(smiles):
        match = _TOKEN.match(smiles, at)
        if match is None or match.lastgroup is None:
            raise InputError(_complaint(smiles, at))
        atoms += match.lastgroup in ("atom", "bracket")
        rings += match.lastgroup == "ring"
        tokens.append(match.group())
        at = match.end()
    if atoms > MAX_ATOMS or rings > 2 * MAX_RINGS:
        raise InputError(
            f"SMILES of {atoms} atoms and {rings // 2} rings: at most {MAX_ATOMS} atoms and "
            f"{MAX_RINGS} rings are accepted"
        )
    return tokens


@lru_cache(maxsize=4096)
def atom_of(token: str) -> Atom | None:
    """Return what an atom token means, None where it is not an atom we can build with."""
    if token in ("C", "N", "O", "S", "P", "F", "Cl", "Br", "I", "B"):
        return _organic(token)
    if token in ("c", "n", "o", "s"):
        free, kind = {"c": (4, "pi"), "n": (3, "n"), "o": (2, "lone"), "s": (2, "lone")}[token]
        return Atom(token.upper(), True, free, (True,) * (free + 1), kind)
    match = _BRACKET.fullmatch(token)
    return None if match is None else _bracket(match)


def kind_of(token: str) -> str:
    """Return "atom", "bond", "ring", "open" or "close"; "" where we cannot build with it."""
    if token in BONDS:
        return "bond"
    if token in "()":
        return "open" if token == "(" else "close"
    if token.isdigit() or re.fullmatch(r"%[0-9]{2}", token):
        return "ring"
    return "atom" if atom_of(token) is not None else ""


def vocabulary(smiles: Iterable[str], minimum: int = 1) -> tuple[str, ...]:
    """Return the tokens that occur at least `minimum` times, most frequent first.

    Ring numbers and what no vocabulary can do without are always there. Texts that cannot be
    tokenised and tokens that cannot be built with are left out.
    """
    counts: Counter[str] = Counter()
    for text in smiles:
        try:
            counts.update(tokenize(text))
        except InputError:
            continue
    known = [t for t, k in counts.most_common() if k >= minimum and kind_of(t)]
    return tuple(dict.fromkeys([*known, *ESSENTIAL]))


def check_vocabulary(tokens: Sequence[str]) -> tuple[str, ...]:
    """Return the vocabulary with the essential tokens added.

    Raises InputError for a token that cannot be built with.
    """
    for token in tokens:
        if not kind_of(token):
            raise InputError(
                f"token {token!r} in the vocabulary: not an atom, bond, branch or ring number of "
                f"a single drug-like fragment; leave it out"
            )
    return tuple(dict.fromkeys([*tokens, *ESSENTIAL]))


def _organic(token: str) -> Atom:
    valences = VALENCES[token]
    rests = tuple(k <= valences[0] or k in valences for k in range(valences[-1] + 1))
    return Atom(token, False, valences[-1], rests, "")


def _bracket(match: re.Match[str]) -> Atom | None:
    symbol = match["symbol"]
    aromatic = symbol[0].islower()
    hydrogens = 0 if match["h"] is None else int(match["h"][1:] or 1)
    charge = _charge(match["charge"])
    valences = _valences(symbol.capitalize(), charge)
    sums = [v - hydrogens for v in valences if v >= hydrogens]
    if not sums or abs(charge) > 1:
        return None
    if not aromatic:
        free = sums[-1]
        return Atom(symbol, False, free, tuple(k in sums for k in range(free + 1)), "")
    free = sums[0]  # an aromatic atom stays at its first valence
    if not 2 <= free <= 4:
        return None
    kind = "lone" if free == 2 else "n" if (symbol, charge, hydrogens) == ("n", 0, 0) else "pi"
    rests = tuple(k >= free - 1 for k in range(free + 1))
    return Atom(symbol.capitalize(), True, free, rests, kind)


def _valences(element: str, charge: int) -> tuple[int, ...]:
    """Return the total valences of a charged atom: those of its isoelectronic neighbour."""
    if charge == 0 or element == "H":
        return VALENCES.get(element, ()) if charge == 0 else ()
    for period in _PERIODS:
        if element in period:
            at = period.index(element) - charge
            found = VALENCES.get(period[at], ()) if 0 <= at < len(period) else ()
            return found if element in ("P", "S", "Se") and charge > 0 else found[:1]
    return ()


def _charge(text: str | None) -> int:
    if not text:
        return 0
    if text in ("++", "--"):
        return 2 if text == "++" else -2
    return int(text[1:] or 1) * (1 if text[0] == "+" else -1)


def _complaint(smiles: str, at: int) -> str:
    found, where = smiles[at], f"SMILES character {at + 1}"
    if found == ".":
        return f"{where} is '.': salts and mixtures are not accepted, give one fragment"
    if found.isspace():
        return f"{where} is a blank: expected the SMILES alone, without a name after it"
    if found == "[":
        return f"{where}: bracket '[' is never closed"
    return f"{where} is {found!r}: not an atom, bond, branch or ring number"
