"""What installing needs from others: a cluster that is changed, and whoever sits before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from app.engine.cluster import Source
from app.install.policies.stored import Inventory
from app.model.access import Access, Permission
from app.model.kinds import DryRun, Kind, Manifest, Reference, Written
from app.model.measurement import Measurement
from app.model.survey import PluginLimit
from app.names import FailurePolicy


class Store(Protocol):
    """Whoever reads and writes objects; reads raise ``StateUnreadable``, writes ``ChangeFailed``."""

    def get(self, reference: Reference) -> Manifest | None:
        """Return the object, None where there is none."""

    def list(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Manifest]:
        """Return all objects of ``kind``, in ``namespace`` if given, that match the label selector."""

    def apply(self, manifest: Manifest, dry_run: DryRun = ..., *, force: bool = False) -> Written:
        """Apply server-side; ``force`` takes fields over from other managers."""

    def create(self, manifest: Manifest, dry_run: DryRun = ...) -> Written:
        """Create; status 409 where it exists already."""

    def merge(self, reference: Reference, patch: Manifest, dry_run: DryRun = ...) -> Written:
        """Merge ``patch`` in (RFC 7386)."""

    def edit(self, reference: Reference, patch: Sequence[Manifest], dry_run: DryRun = ...) -> Written:
        """Apply a JSON patch (RFC 6902)."""

    def delete(self, reference: Reference, dry_run: DryRun = ..., *, uid: str = "") -> Written | None:
        """Delete, only the object of ``uid`` if given; None where there was none."""


class ServerQueries(Protocol):
    """Whoever asks the API server about itself and about the user."""

    def version(self) -> str:
        """Return the version, e.g. ``v1.37.2``. Raises ``StateUnreadable``."""

    def may(self, permission: Permission) -> Access:
        """Return whether the user has ``permission``; never raises."""


class Clock(Protocol):
    """Whoever knows the time and can wait."""

    def now(self) -> float:
        """Return the seconds since some moment."""

    def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """What the settings of the guard say about its answers.

    ``mode`` where a namespace has none of its own, the namespaces left alone, whether it tells what has no
    effect, and the failurePolicy that it is to keep in the end.
    """

    mode: str = "enforce"
    exempt: frozenset[str] = frozenset()
    tells_no_effect: bool = True
    failure_policy: FailurePolicy = FailurePolicy.FAIL


class Site(Protocol):
    """One cluster that is being changed; whatever reads raises ``StateUnreadable``."""

    @property
    def objects(self) -> Store:
        """Its objects."""

    @property
    def server(self) -> ServerQueries:
        """Its API server."""

    @property
    def clock(self) -> Clock:
        """The time there."""

    def inventory(
        self,
        declared: tuple[Source, ...] = (),
        measured: tuple[Source, ...] = (),
        *,
        labelled: Iterable[str] = (),
        only: Sequence[str] = (),
    ) -> Inventory:
        """Return what is there, ``labelled`` namespaces taken for managed; policies of ``only`` if any."""

    def measure(self, namespace: str, seconds: float) -> Measurement:
        """Return where the API server's calls come from, by probes in ``namespace``, and remember it.

        A webhook that was just registered gets ``seconds``. Raises ``ChangeFailed`` where nothing answers.
        """

    def plugin_limit(self, sources: Sequence[Source]) -> PluginLimit | None:
        """Return what the network plugin cannot express, None where it can as far as is known."""

    def guard_settings(self) -> GuardSettings:
        """Return what the settings of the guard say. Raises ``SettingsError`` where they cannot be used."""


class Tone(Enum):
    """How a line is meant."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"


class Terminal(Protocol):
    """Whoever shows an admin what is to be done and how far things are, and asks."""

    def show(self, lines: Iterable[str], tone: Tone = Tone.PLAIN) -> None:
        """Print ``lines``."""

    def confirm(self, question: str) -> bool:
        """Ask. Raises ``InputError`` where nobody can answer."""

    def begin(self, what: str) -> None:
        """Tell that ``what`` is being done now."""

    def end(self, how: str) -> None:
        """Tell how what was begun went."""
