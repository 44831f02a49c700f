"""What installing needs from others."""

from __future__ import annotations

from typing import Protocol

from app.model.kinds import Kind, Manifest, Reference, Rehearsal, Written


class Store(Protocol):
    """Whoever reads and writes objects; reads raise ``StateUnreadable``, writes ``ChangeFailed``."""

    def get(self, reference: Reference) -> Manifest | None:
        """Return the object, None where there is none."""
        ...

    def list(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Manifest]:
        """Return all objects of ``kind``, in ``namespace`` if given, that match the label selector."""
        ...

    def apply(self, manifest: Manifest, rehearsal: Rehearsal = ..., *, force: bool = False) -> Written:
        """Apply server-side; ``force`` takes fields over from other managers."""
        ...

    def create(self, manifest: Manifest, rehearsal: Rehearsal = ...) -> Written:
        """Create; status 409 where it exists already."""
        ...

    def merge(self, reference: Reference, patch: Manifest, rehearsal: Rehearsal = ...) -> Written:
        """Merge ``patch`` in (RFC 7386)."""
        ...

    def delete(self, reference: Reference, rehearsal: Rehearsal = ..., *, uid: str = "") -> Written | None:
        """Delete, only the object of ``uid`` if given; None where there was none."""
        ...


class Clock(Protocol):
    """Whoever knows the time and can wait."""

    def now(self) -> float:
        """Return the seconds since some moment."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""
        ...


class Progress(Protocol):
    """Whoever tells an admin how far things are."""

    def begin(self, what: str) -> None:
        """Tell that ``what`` is being done now."""
        ...

    def end(self, how: str) -> None:
        """Tell how what was begun went."""
        ...
