"""What both replica exchanges do: the shares of their moves, and their temperatures."""

from __future__ import annotations

from dataclasses import dataclass

from designer.errors import InputError

_REGROWTH, _LONG = 0.02, 80  # of the proposals, from so many residues on
_KT = {  # coldest and hottest, tuned by measurement: many neighbours freeze a chain early
    "square": (0.3, 0.5), "triangular": (0.3, 0.5), "cubic": (0.3, 0.44), "fcc": (0.4, 0.8),
}  # fmt: skip


@dataclass(frozen=True)
class Mixture:
    """Of the proposals a share `rebridging` are rebridgings, and a share `regrowth` (None: 0.02
    from 80 residues on, none below) grow a stretch anew; the others are pulls.

    The temperatures of a ladder, in units of the chain's strongest attraction, lie between
    `coldest` and `hottest` (0: 0.3 and 0.5, on the cubic lattice 0.3 and 0.44, on FCC 0.4 and
    0.8). Raises InputError for what cannot be.
    """

    rebridging: float = 0.3
    regrowth: float | None = None
    coldest: float = 0.0
    hottest: float = 0.0

    def __post_init__(self) -> None:
        if not (self.coldest >= 0 and self.hottest >= 0):
            raise InputError(
                f"temperatures {self.coldest:g} to {self.hottest:g}, expected numbers above 0, or "
                "0 for the lattice's own"
            )
        for name, share in (("rebridging", self.rebridging), ("regrowth", self.regrowth or 0.0)):
            if not 0 <= share < 1:
                raise InputError(f"{name} is {share:g}, expected 0 to below 1")
        if self.rebridging + (self.regrowth or 0.0) >= 1:
            raise InputError("rebridging and regrowth leave no pull moves; expected less than 1")

    def temperatures(self, lattice: str) -> tuple[float, float]:
        """Return the ends of a ladder; raises InputError where they cross."""
        coldest, hottest = self.coldest or _KT[lattice][0], self.hottest or _KT[lattice][1]
        if coldest > hottest:
            raise InputError(f"temperatures {coldest:g} to {hottest:g}, expected them to rise")
        return coldest, hottest

    def regrown(self, length: int) -> float:
        """Return which share of the proposals grows a stretch of so long a chain anew."""
        if self.regrowth is not None:
            return self.regrowth
        return _REGROWTH if length >= _LONG else 0.0
