"""What bootstrap and uninstall have in common: refusals, dry runs, acts in order, interruption."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from app.cli.site import SystemClock, Tools
from app.cli.terminal import Lines, show
from app.engine.cluster import Cluster
from app.engine.requirements import Options
from app.errors import GuardError
from app.install.dry_run import Step, rehearse
from app.install.execution import Act, PolicyActs, carry_out
from app.install.plan import Plan
from app.install.policies.simulation import Simulation
from app.install.words import account_lines


class CannotInstall(GuardError):  # noqa: N818 - reads as what it is
    """Something is in the way; nothing was changed."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join((*problems, "Nothing was changed.")))


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
