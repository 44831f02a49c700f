"""Carries out steps one by one, and knows at every moment what stands and what is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from app.engine.words import flow_words
from app.errors import ChangeFailed, GuardError
from app.install.dry_run import PlanStep
from app.install.policies.changes import Action, ChangePhase, PolicyChange, states_along
from app.install.policies.simulation import Simulation
from app.install.policies.stored import by_namespace
from app.install.ports import Clock, Store, Terminal
from app.model.kinds import NETWORK_POLICY


@dataclass(slots=True)
class RunReport:
    """What was done and what is left; ``trouble`` says why it ended early, "" if it did not."""

    done: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    trouble: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether everything was done."""
        return not self.trouble and not self.left


@dataclass(frozen=True, slots=True)
class RunStep:
    """Something that is done: its words, and the call that does it and says how it went."""

    title: str
    run: Callable[[], str]


def carry_out(acts: Sequence[RunStep], terminal: Terminal, later: Sequence[str] = ()) -> RunReport:
    """Do ``acts`` in order until one fails or somebody interrupts. Never raises for either.

    ``later`` is what would be done after them, for the account of what is left where they end early.
    """
    report = RunReport(left=[act.title for act in acts])
    try:
        for act in acts:
            terminal.begin(act.title)
            terminal.end(act.run())
            report.done.append(report.left.pop(0))
    except GuardError as error:
        how, report.trouble = "failed", str(error)
    except KeyboardInterrupt:
        how = report.trouble = "interrupted"
    else:
        return report
    terminal.end(how)
    report.left += later
    return report


class PolicyRun:
    """Steps on policies as acts: each is judged once more, by the state of that moment, before it is made."""

    def __init__(self, store: Store, clock: Clock, simulation: Simulation, pause: float) -> None:
        """``pause`` is how long the network plugin gets before anything is taken away."""
        self._store = store
        self._clock = clock
        self._simulation = simulation
        self._pause = pause

    def of(self, steps: Sequence[PlanStep]) -> tuple[RunStep, ...]:
        """Return the acts for ``steps``, which are in order of their phases."""
        acts: list[RunStep] = []
        for step in steps:
            is_last = step.change is not None and step.change.phase is ChangePhase.LAST
            if is_last and self._pause and not any(act.title == self._pause_words for act in acts):
                acts.append(RunStep(self._pause_words, self._wait))
            acts.append(RunStep(step.title, partial(self.make, step)))
        return tuple(acts)

    def make(self, step: PlanStep) -> str:
        """Make one step. Raises ``ChangeFailed`` and ``StateUnreadable``."""
        if step.change is not None:
            self._check(step.change)
        if step.action is Action.REMOVE:
            uid = "" if step.before is None else step.before["metadata"].get("uid", "")
            gone = self._store.delete(step.reference, uid=uid)
            return "was gone" if gone is None else "done"
        if step.manifest is not None:
            self._store.apply(step.manifest, force=step.action is Action.ADOPT)
        return "done"

    def _check(self, change: PolicyChange) -> None:
        """Raise ``ChangeFailed`` where somebody changed the namespace so that the step would do harm now."""
        namespace = change.policy.namespace
        listed = self._store.list(NETWORK_POLICY, namespace)
        before = [found.policy for found in by_namespace(listed).get(namespace, ())]
        _, after = next(states_along(before, (change,)))
        lost = self._simulation.lost(namespace, before, after.values())
        if lost:
            why = f"the policies of {namespace} were changed meanwhile, and now it would cut"
            what, how = f"{change.action.value} {change.reference}", "run the command again: it plans anew"
            raise ChangeFailed(what, f"{why} {flow_words(lost[0].flow)}", how)

    @property
    def _pause_words(self) -> str:
        return f"give the network plugin {self._pause:g} s"

    def _wait(self) -> str:
        self._clock.sleep(self._pause)
        return "done"
