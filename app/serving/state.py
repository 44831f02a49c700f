"""Where the process is in its life; the server moves it on, the applications look at it."""

from __future__ import annotations

import time
from dataclasses import dataclass

HELD_SECONDS = 20.0
"""An event loop that was held for so long will hardly be let go; what a review may take is well below."""


@dataclass(slots=True)
class ServingState:
    """Begins as neither started nor draining."""

    is_started: bool = False
    is_draining: bool = False
    _last_pulse: float | None = None

    def pulse(self) -> None:
        """Take note that the event loop of reviews is alive."""
        self._last_pulse = time.monotonic()

    def held(self) -> str | None:
        """Return why this process does not live, None where it does; asked from another thread."""
        last = self._last_pulse
        silent = 0.0 if last is None else time.monotonic() - last
        return None if silent < HELD_SECONDS else f"reviews have been at a standstill for {silent:.0f} s"

    def reasons(self) -> tuple[str, ...]:
        """Return why this process should get no requests now; nothing means that it may."""
        if self.is_draining:
            return ("draining: this process is about to end",)
        return () if self.is_started else ("starting",)
