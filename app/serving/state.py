"""Where the process is in its life; the server moves it on, the applications look at it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class ServingState:
    """Begins as neither started nor draining."""

    is_started: bool = False
    is_draining: bool = False

    def reasons(self) -> tuple[str, ...]:
        """Return why this process should get no requests now; nothing means that it may."""
        if self.is_draining:
            return ("draining: this process is about to end",)
        return () if self.is_started else ("starting",)
