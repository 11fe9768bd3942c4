"""The whole error tree. A user's error is one line that names the place and the remedy.

DesignerError                 exit 1   never raised itself
├── InputError                exit 3   a bad value, file, sequence, column or setting
│   └── ConfigError           exit 3   the same in a campaign file, with file:line:column
├── OracleError               exit 4   the oracle fails too often, or broke its contract
├── LockedError               exit 6   another process holds the run directory
├── DiskFullError             exit 7   no space left; the last checkpoint is intact
└── Interrupted               exit 75  stopped by a signal; the run can be resumed
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class DesignerError(Exception):
    """What every error of ours derives from; `exit_code` is what the command line ends with."""

    exit_code = 1


class InputError(DesignerError):
    """A value, file, sequence or setting that cannot be used. The text names place and remedy."""

    exit_code = 3


class ConfigError(InputError):
    """A campaign file that cannot be used. The text begins with `file:line:column`."""


class OracleError(DesignerError):
    """An oracle that failed too often, or returned something that is not one value a design."""

    exit_code = 4


class LockedError(DesignerError):
    """The run directory belongs to another running process."""

    exit_code = 6


class DiskFullError(DesignerError):
    """The disk is full; what was committed before is intact."""

    exit_code = 7


class Interrupted(DesignerError):
    """A signal ended the run after a checkpoint; `designer resume DIR` continues it."""

    exit_code = 75


def nearest(word: str, known: Iterable[object]) -> str:
    """Return `did you mean 'x'?` for the closest of `known`, or a list of what exists.

    The text is meant to end an error message. What shares less than about two letters of three is
    no slip of the pen: a list helps more than an unrelated name.
    """
    import difflib

    names = sorted(str(name) for name in known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.65 if len(word) > 2 else 0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {listed(names)}"


def listed(names: Sequence[str], most: int = 20) -> str:
    """Return names with commas between them, the first ones of many."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return ", ".join(names) or "none"
