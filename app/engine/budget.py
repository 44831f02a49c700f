"""How much work a decision may take."""

from __future__ import annotations

from typing import Protocol


class TooComplexError(Exception):
    """The question could not be decided within the budget; nothing is known about the answer."""


class Budget(Protocol):
    """How long a decision may take; owned by whoever has a clock."""

    def exhausted(self) -> bool:
        """Tell whether no more work may be done."""


class Unlimited:
    """A budget without end, for tests and offline commands."""

    def exhausted(self) -> bool:
        """Never."""
        return False


def demand(budget: Budget) -> None:
    """Raise ``TooComplexError`` when no more work may be done."""
    if budget.exhausted():
        raise TooComplexError
