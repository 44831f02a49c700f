"""What bootstrap and uninstall have in common: refusals, dry runs, agreement, acts in order, interruption."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from app.engine.cluster import Cluster
from app.engine.required_flows import Options
from app.errors import GuardError
from app.install.dry_run import PlanStep, dry_run
from app.install.execution import PolicyRun, RunStep, carry_out
from app.install.plan import Plan
from app.install.policies.simulation import Simulation
from app.install.ports import Site, Terminal
from app.install.words import plan_lines, report_lines


class CannotInstall(GuardError):  # noqa: N818 - reads as what it is
    """Something is in the way; nothing was changed."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join((*problems, "Nothing was changed.")))


def refuse(*problems: str | None) -> None:
    """Raise ``CannotInstall`` where there are problems."""
    found = [problem for problem in problems if problem]
    if found:
        raise CannotInstall(found)


def tried(site: Site, plan: Plan) -> tuple[PlanStep, ...]:
    """Return the steps of ``plan``, tried in dry runs. Raises ``CannotInstall``."""
    refuse(*plan.problems)
    result = dry_run(site.objects, plan.steps)
    refuse(*result.problems)
    return result.steps


def agreed(
    terminal: Terminal,
    steps: Sequence[PlanStep],
    notes: Mapping[str, Sequence[str]],
    *,
    yes: bool,
    dry_run: bool = False,
) -> bool:
    """Show the plan and ask; return whether to go on. Raises ``InputError`` where nobody can answer."""
    terminal.show(plan_lines(steps, notes))
    if dry_run:
        terminal.show(["Nothing was changed: --dry-run."])
        return False
    if yes or terminal.confirm("Make these changes?"):
        return True
    terminal.show(["Nothing was changed."])
    return False


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


def policy_run(site: Site, cluster: Cluster, steps: Sequence[PlanStep], pause: float) -> tuple[RunStep, ...]:
    """Return the acts that make ``steps``."""
    return PolicyRun(site.objects, site.clock, Simulation(cluster, Options()), pause).of(steps)


def perform(terminal: Terminal, acts: Sequence[RunStep], again: str, later: Sequence[str] = ()) -> bool:
    """Do ``acts`` with progress; return whether all was done, else show what stands and what is left."""
    with interruptible():
        report = carry_out(acts, terminal, later)
    terminal.show(report_lines(report, again))
    return report.is_complete
