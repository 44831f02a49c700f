"""What ``bootstrap``, ``uninstall`` and ``doctor --fix`` have in common: the wiring, and how it is shown."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import typer

from app.cluster.connection import Connection, configuration
from app.cluster.deadline import Deadline
from app.cluster.look import look
from app.cluster.memory import recall, remember
from app.cluster.objects import Objects
from app.cluster.prober import Patience, Prober
from app.cluster.server import Server
from app.cluster.snapshot import Snapshot, snapshot_of
from app.cluster.sources import declared_source
from app.engine.requirements import Options
from app.errors import GuardError, InputError, StateUnreadable
from app.install.execution import PolicyActs, carry_out
from app.install.neighbours import neighbours
from app.install.plan import Plan, Stock
from app.install.rehearsal import Step, rehearse
from app.install.simulation import Simulation
from app.install.stored import by_namespace
from app.install.words import account_lines, note_lines, plan_lines
from app.wire.kinds import NETWORK_POLICY, SERVICE
from app.wire.objects import service_facts
from app.wire.remembered import key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from app.engine.cluster import Cluster, Source
    from app.install.execution import Act
    from app.wire.kinds import Manifest
    from app.wire.measurement import Measurement
    from app.wire.objects import ServiceFacts

MANAGER = "netpol-guard-bootstrap"
"""The field manager of what is installed; what the running guard writes itself has another."""
_LOOK_SECONDS = 60.0
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_REMEMBERED = timedelta(days=1)
_COLOURS = {"+": typer.colors.GREEN, "-": typer.colors.RED, "@": typer.colors.CYAN}


class CannotInstall(GuardError):  # noqa: N818 - reads as what it is
    """Something is in the way; nothing was changed."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join((*problems, "Nothing was changed.")))


@dataclass(frozen=True, slots=True)
class Tools:
    """One connection to a cluster, and what works through it."""

    connection: Connection
    objects: Objects
    server: Server
    prober: Prober

    @classmethod
    def connect(cls, kubeconfig: Path | None, context: str | None, seconds: float = 30.0) -> Tools:
        """Return the tools for a cluster; each call may take ``seconds``. Raises ``SettingsError``."""
        config = configuration(kubeconfig, context)
        connection = Connection(config)
        objects, server = Objects(connection, MANAGER, seconds), Server(connection, seconds)
        return cls(connection, objects, server, Prober(config))

    def measure(self, namespace: str, seconds: float) -> Measurement:
        """Return where the API server's calls come from, by probes in ``namespace``, and remember it.

        A webhook that was just registered gets ``seconds``. Raises ``StateUnreadable``, ``ChangeFailed``.
        """
        found = self.prober.measure(namespace, Patience(for_first_answer=seconds))
        now = datetime.now(UTC)
        known = {one.key: one.last_seen for one in recall(self.connection).measured}
        # A run that finds what is known changes nothing; what was not seen for long must not expire.
        if any(now - known.get(key_of(one.place), _LONG_AGO) > _REMEMBERED for one in found.found):
            remember(self.connection, found, by=self.server.user() or "netpol-guard bootstrap")
        return found

    def stock(
        self,
        declared: tuple[Source, ...] = (),
        measured: tuple[Source, ...] = (),
        *,
        labelled: Iterable[str] = (),
        only: Sequence[str] = (),
    ) -> Stock:
        """Return what is there, ``labelled`` namespaces taken for managed; policies of ``only`` if any."""
        facts = look(self.connection, Deadline.after(_LOOK_SECONDS), frozenset(labelled))
        snapshot = snapshot_of(facts, Snapshot(), declared=declared, measured=measured, now=datetime.now(UTC))
        listed: list[Manifest] = []
        for name in only or ("",):
            listed += self.objects.list(NETWORK_POLICY, name)
        stored = by_namespace(listed)
        policies = {name: tuple(one.policy for one in found) for name, found in stored.items()}
        cluster = snapshot.with_policies(policies)
        return Stock(cluster, stored, neighbours(cluster, self._services()), snapshot.notes)

    def _services(self) -> list[ServiceFacts]:
        """Return all Services; none where they must not be read: they only help to warn."""
        try:
            return [service_facts(one) for one in self.objects.list(SERVICE)]
        except StateUnreadable:
            return []


class SystemClock:
    """Time as it passes."""

    def now(self) -> float:
        """Return the seconds since some moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""
        time.sleep(seconds)


class Lines:
    """Progress as lines: what is being done, then how it went."""

    def begin(self, what: str) -> None:
        """Tell that ``what`` is being done now."""
        typer.echo(f"{what} ... ", nl=False)

    def end(self, how: str) -> None:
        """Tell how it went."""
        colour = {"failed": typer.colors.RED, "interrupted": typer.colors.RED}.get(how, typer.colors.GREEN)
        typer.secho(how, fg=colour)


def sources_of(given: Iterable[str], origin: str = "given by --api-server") -> tuple[Source, ...]:
    """Return the sources that an admin names, by default with ``--api-server``. Raises ``InputError``."""
    try:
        return tuple(declared_source(one, origin) for one in given)
    except ValueError as error:
        raise InputError(
            "--api-server", f"{error}; give an address or a CIDR such as 10.20.0.10/32"
        ) from error


def refuse(*problems: str | None) -> None:
    """Raise ``CannotInstall`` where there are problems."""
    found = [one for one in problems if one]
    if found:
        raise CannotInstall(found)


def rehearsed(tools: Tools, plan: Plan) -> tuple[Step, ...]:
    """Return the steps of ``plan``, tried in dry runs. Raises ``CannotInstall``."""
    refuse(*plan.problems)
    tried = rehearse(tools.objects, plan.steps)
    refuse(*tried.problems)
    return tried.steps


def show(lines: Iterable[str]) -> None:
    """Print lines, those of diffs in colour."""
    for line in lines:
        mark = line.strip()[:1] if line.startswith("    ") else ""
        typer.secho(line, fg=_COLOURS.get(mark), bold=line.startswith("* "))


def show_plan(steps: Sequence[Step], notes: Mapping[str, Sequence[str]]) -> None:
    """Print a plan."""
    show(plan_lines(steps, notes))


def show_notes(notes: Mapping[str, Sequence[str]]) -> None:
    """Print notes where there are no steps."""
    show(note_lines(notes))


def confirm(question: str, *, yes: bool) -> bool:
    """Ask; with ``yes``, do not. Raises ``InputError`` where nobody can answer."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise InputError("", "nobody can be asked here: say --yes to go on, or --dry-run to only look")
    try:
        return typer.confirm(question)
    except typer.Abort:  # Ctrl-C, or the end of the input
        typer.echo()
        return False


def agreed(steps: Sequence[Step], notes: Mapping[str, Sequence[str]], *, yes: bool, dry_run: bool) -> bool:
    """Show the plan and ask; return whether to go on. Raises ``InputError`` where nobody can answer."""
    show_plan(steps, notes)
    if dry_run:
        typer.echo("Nothing was changed: --dry-run.")
        return False
    if confirm("Make these changes?", yes=yes):
        return True
    typer.echo("Nothing was changed.")
    return False


def this_command() -> str:
    """Return the command line of this process, to be typed again."""
    return shlex.join(["netpol-guard", *sys.argv[1:]])


@contextmanager
def interruptible() -> Iterator[None]:
    """Let a SIGTERM end things as Ctrl-C does: after a word about what stands."""

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def policy_acts(tools: Tools, cluster: Cluster, steps: Sequence[Step], pause: float) -> tuple[Act, ...]:
    """Return the acts that make ``steps``."""
    simulation = Simulation(cluster, Options())
    return PolicyActs(tools.objects, SystemClock(), simulation, pause).of(steps)


def perform(acts: Sequence[Act], again: str, later: Sequence[str] = ()) -> bool:
    """Do ``acts`` with progress; return whether all was done, else print what stands and what is left."""
    with interruptible():
        account = carry_out(acts, Lines(), later)
    show(account_lines(account, again))
    return account.is_complete
