"""The ways in which a run ends early, and what holds whichever it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

from app.engine.required_flows import Options
from app.errors import ChangeFailed
from app.install.policies.simulation import Simulation
from app.install.policies.stored import by_namespace
from tests.install.site import FakeSite
from tests.install.store import RecordingTerminal
from tests.install.world import NS

ENDS: Mapping[str, Callable[[], BaseException]] = {
    "interrupted": KeyboardInterrupt,
    "failing": lambda: ChangeFailed("write", "the API server went away"),
}
TROUBLES = {"interrupted": "interrupted", "failing": "could not write: the API server went away"}


def assert_told(terminal: RecordingTerminal, end: str, command: str, *, nothing_done: bool = False) -> None:
    """Assert that it is said why it ended, whether anything stands, and how it goes on."""
    assert f"Stopped: {TROUBLES[end]}" in terminal.lines
    assert f"To complete it: netpol-guard {command}" in terminal.lines
    assert ("Nothing was changed." in terminal.lines) is nothing_done


def assert_nothing_was_lost(site: FakeSite, since: int = 0) -> None:
    """Hold the policies that every write left against those before: no required flow may have gone."""
    simulation = Simulation(site.inventory().cluster, Options())
    states = [
        [found.policy for found in by_namespace(state).get(NS, ())] for state in site.objects.history[since:]
    ]
    assert len(states) > 1
    for before, after in pairwise(states):
        assert not simulation.lost(NS, before, after)
