"""What this room needs from others: the cluster's objects, somebody who serves, and somebody who counts."""

from __future__ import annotations

from typing import Protocol

from app.certificates.pairs import Pair
from app.model.kinds import DryRun, Kind, Manifest, Reference, Written


class ClusterObjects(Protocol):
    """Reads and writes of whole objects; all raise ``StateUnreadable`` or ``ChangeFailed``, and all block."""

    def get(self, reference: Reference) -> Manifest | None:
        """Return the object, None where there is none."""
        ...

    def list(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Manifest]:
        """Return the objects of ``kind`` in ``namespace`` that ``labels`` selects."""
        ...

    def create(self, manifest: Manifest) -> Written:
        """Create; status 409 where it exists already."""
        ...

    def replace(self, manifest: Manifest) -> Written:
        """Replace, on condition of the resourceVersion; status 409 where it is another one now."""
        ...

    def apply(self, manifest: Manifest, *, force: bool = False) -> Written:
        """Apply server-side."""
        ...

    def merge(self, reference: Reference, patch: Manifest, dry_run: DryRun = DryRun.NONE) -> Written:
        """Merge ``patch`` in."""
        ...


class CertificateServer(Protocol):
    """Whoever answers handshakes."""

    def take(self, pair: Pair) -> None:
        """Serve ``pair`` from the next handshake on."""
        ...


class ReconcileCounters(Protocol):
    """Whoever counts what the guard does to its own objects."""

    def set_authority_expiry(self, timestamp: float) -> None:
        """Note when the authority in use ends, in Unix time."""
        ...

    def record_reconcile(self, what: str) -> None:
        """Count one change, or one failure, of what the guard looks after."""
        ...
