"""One question to the exact search by itself; the program asks several about one change at a time."""

from __future__ import annotations

from app.engine.budget import Budget
from app.engine.points import Point
from app.engine.regions import Region, Side
from app.engine.search.find import Comparison


def find_lost(region: Region, after: Side, budget: Budget) -> Point | None:
    """Return a point of ``region`` that ``after`` does not allow, None if it allows all of it."""
    return Comparison((), after.policies, budget).lost(region, after)
