"""What both replica exchanges do unless told otherwise: temperatures, and shares of the moves."""

from __future__ import annotations

from designer.errors import InputError

REBRIDGING = 0.3  # of the proposals
_REGROWTH, _LONG = 0.02, 80  # of the proposals, from so many residues on
_KT = {  # coldest and hottest, tuned by measurement: many neighbours freeze a chain early
    "square": (0.3, 0.5), "triangular": (0.3, 0.5), "cubic": (0.3, 0.44), "fcc": (0.4, 0.8),
}  # fmt: skip


def temperatures(lattice: str, coldest: float, hottest: float) -> tuple[float, float]:
    """Return the ends of a ladder, in units of the chain's strongest attraction: those given, or
    where they are 0 the lattice's own. Raises InputError where they cross.
    """
    coldest, hottest = coldest or _KT[lattice][0], hottest or _KT[lattice][1]
    if coldest > hottest:
        raise InputError(f"temperatures {coldest:g} to {hottest:g}, expected them to rise")
    return coldest, hottest


def regrown(length: int, share: float | None) -> float:
    """Return which share of the proposals grows a stretch anew; None: as it pays at this length."""
    if share is not None:
        return share
    return _REGROWTH if length >= _LONG else 0.0


def check(coldest: float, hottest: float, rebridging: float, regrowth: float | None) -> None:
    """Raise InputError for temperatures and shares that cannot be."""
    if not (coldest >= 0 and hottest >= 0):
        raise InputError(
            f"temperatures {coldest:g} to {hottest:g}, expected numbers above 0, or 0 for the "
            "lattice's own"
        )
    for name, share in (("rebridging", rebridging), ("regrowth", regrowth or 0.0)):
        if not 0 <= share < 1:
            raise InputError(f"{name} is {share:g}, expected 0 to below 1")
    if rebridging + (regrowth or 0.0) >= 1:
        raise InputError("rebridging and regrowth leave no pull moves; expected less than 1")
