"""What the `kind` of a table names: something registered, or the user's own code."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from designer import plugins
from designer.config import Document, show
from designer.errors import listed
from designer.files import located
from designer.laboratory import Laboratory
from designer.toml import Keys
from oracles.isolation import Limits
from oracles.pool import Parallel
from oracles.registry import is_oracle, resolve_oracle


def aside() -> AbstractContextManager[Any]:
    """Send to stderr what the user's own code prints: stdout is for results."""
    return contextlib.redirect_stdout(sys.stderr)


@dataclass(frozen=True)
class Kinds:
    """Finds what the `kind` of a table names."""

    document: Document
    allowed: bool

    def find(
        self, path: Keys, registry: Mapping[str, str], default: str | None = None
    ) -> Callable[..., Any]:
        """Return the callable that the table's `kind` names."""
        kind = self._kind(path, registry, default)
        base = self.document.base
        with self.document.blamed((*path, "kind")), aside():
            found = plugins.resolve(kind, registry, allow_plugins=self.allowed, base=base)
        self._anchor(path, kind)
        return found

    def judge(
        self,
        path: Keys,
        shared: Mapping[str, Any],
        registry: Mapping[str, str],
        leave: tuple[str, ...] = (),
    ) -> Any:
        """Return an oracle: registered, a class or an object of the user's, or a function."""
        kind = self._kind(path, registry, None)
        base = self.document.base
        with self.document.blamed((*path, "kind")), aside():
            make = resolve_oracle(kind, allow_plugins=self.allowed, base=base, registry=registry)
        self._anchor(path, kind)
        table = self.document.table(path)  # what the table says wins over what the task offers
        injected = {name: value for name, value in shared.items() if name not in table}
        oracle = self.document.build(path, make, injected, leave=(*leave, "isolate"))
        if not is_oracle(oracle):
            raise self.document.error(
                (*path, "kind"),
                f"{kind!r} makes no oracle: what judges has a text `name` and a bool `cheap`, and "
                "can be called",
            )
        limits = getattr(oracle, "isolation", None)
        if "isolate" in table:
            limits = self._limits((*path, "isolate"))
        if limits is not None:
            return Parallel(oracle, shared["workers"], limits=limits)
        if shared["workers"] > 1 and not oracle.cheap and not isinstance(oracle, Laboratory):
            return Parallel(oracle, shared["workers"])
        return oracle

    def _limits(self, path: Keys) -> Limits | None:
        """Return what `isolate` says a design may cost; None where the oracle runs in here."""
        table = self.document.table(path, False)
        if isinstance(table, bool):
            return Limits() if table else None
        if not isinstance(table, dict):
            raise self.document.error(path, f"{show(path)} is neither true nor a table of limits")
        limits: Limits = self.document.build(path, Limits)
        return limits

    def _kind(self, path: Keys, registry: Mapping[str, str], default: str | None) -> str:
        kind = self.document.table((*path, "kind"), default)
        if isinstance(kind, str):
            return kind
        known = listed(list(registry))
        if kind is None:
            raise self.document.error(path, f"{show(path)} needs a kind; known: {known}")
        raise self.document.error((*path, "kind"), f"{show(path)}.kind is not text; known: {known}")

    def _anchor(self, path: Keys, kind: str) -> None:
        """Make a file's name absolute, so that the run can be resumed from anywhere."""
        if plugins.is_file(kind):
            name, attribute = kind.rsplit(":", 1)
            file = located(name, self.document.base).resolve()
            self.document.table(path)["kind"] = f"{file}:{attribute}"
            self.document.files[f"{show(path)} code"] = file
