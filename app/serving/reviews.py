"""What this room needs from the others: somebody who answers reviews, and somebody who knows of readiness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, complete; header names in lower case."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


class Reviews(Protocol):
    """Answers admission reviews."""

    async def review(self, body: bytes, budget_seconds: float) -> Reply:
        """Return the answer to the review in ``body``, within the budget; it is not expected to raise."""
        ...


class Readiness(Protocol):
    """Knows whether reviews can be answered."""

    def reasons(self) -> tuple[str, ...]:
        """Return why they cannot be answered yet; nothing means that they can."""
        ...
