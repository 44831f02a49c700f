"""The procedure of ``bootstrap`` as a whole: the guard, measured sources, baselines, self-test, ``Fail``.

In this order, so that nothing is rejected before it is known to be judged rightly; whatever fails or is
interrupted on the way leaves ``failurePolicy: Ignore``, and running it again goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from app.engine.words import listed
from app.errors import ChangeFailed
from app.install.dry_run import PlanStep
from app.install.execution import RunStep
from app.install.guard.attempts import attempts
from app.install.guard.manifests import (
    CONFIGURATION,
    GuardChoices,
    foreign_problem,
    found_objects,
    guard_steps,
    is_armed,
    is_held,
    networks_in,
    released,
)
from app.install.guard.rollout import wait_for_rollout
from app.install.guard.selftest import SelfTest
from app.install.plan import Plan
from app.install.ports import Site, Terminal, Tone
from app.install.preflight import object_permissions, permissions, policy_permissions
from app.install.prepare import BootstrapRequest, Preparation, all_pass, changing, prepare
from app.install.procedure import agreed, perform, policy_run, refuse, tried
from app.install.words import measurement_lines, note_lines, source_lines
from app.model.access import Permission
from app.model.kinds import POD
from app.model.measurement import Measurement
from app.model.probe import PROBE_VERB
from app.names import NAME, FailurePolicy
from app.shipped import guard_manifests

_AFTERWARDS = (
    "it begins with failurePolicy Ignore; when the guard runs, the API server's sources are measured and"
    " every namespace is tested, and then comes failurePolicy Fail"
)
_MEANING = {
    FailurePolicy.FAIL: "Policies of these namespaces can be changed as long as a guard answers.",
    FailurePolicy.IGNORE: "Without an answer of the guard, requests go through.",
}
_NOT_TESTED = (
    "Not measured or tested yet, so failurePolicy stays as it is.",
    "To complete it, run the same command without --no-wait.",
)
_AND_NOW = (
    "Another namespace of the platform: netpol-guard bootstrap -n NAME --label",
    "What is wrong, whenever something is: netpol-guard doctor",
)
_LATER = ("measure where the API server calls from", "baselines", "self-test", "failurePolicy Fail")


def bring_guard(site: Site, terminal: Terminal, request: BootstrapRequest) -> int:
    """Bring the guard and both baselines into the cluster; return the exit code.

    Raises ``CannotInstall`` where something is in the way, and nothing was changed then.
    """
    return _Guarding(site, terminal, request).run()


class _Guarding:
    """One run, from what is there to what it came to."""

    def __init__(self, site: Site, terminal: Terminal, request: BootstrapRequest) -> None:
        self._site = site
        self._terminal = terminal
        self._request = request
        self._manifests = guard_manifests()
        self._measured: Measurement | None = None
        self._asked = False

    def run(self) -> int:
        needed = (*changing(self._request), *_permissions(self._manifests, self._request))
        preparation = prepare(self._site, self._request, needed)
        found = found_objects(self._site.objects, self._manifests)
        refuse(foreign_problem(found))
        choices = GuardChoices(self._request.image, networks_in(self._request.declared), self._request.adopt)
        plan = preparation.policies()
        guard = guard_steps(self._manifests, found, choices)
        steps = tried(self._site, Plan((*guard, *plan.steps), plan.notes, plan.problems))
        there = found.get(CONFIGURATION)
        if not self._agreed(preparation, plan, steps, is_pending=there is None or is_held(there)):
            return 0 if self._request.dry_run else 2
        acts = self._install([step for step in steps if step.change is None], preparation)
        titles = {act.title for act in acts}
        if not self._perform(acts, [title for title in _LATER if title not in titles]):
            return 2
        return self._baselines(preparation, steps)

    def _agreed(
        self, preparation: Preparation, plan: Plan, steps: Sequence[PlanStep], *, is_pending: bool
    ) -> bool:
        """Show what is to be done, and ask where anything is; return whether to go on."""
        self._terminal.show(source_lines(preparation.inventory.cluster.sources))
        notes = preparation.notes(plan)
        request = self._request
        if is_pending:
            notes = {**notes, "": (*notes[""], _AFTERWARDS)}
        if steps or is_pending:
            self._asked = agreed(self._terminal, steps, notes, yes=request.yes, dry_run=request.dry_run)
            return self._asked
        self._terminal.show(note_lines(notes))
        if request.dry_run:
            self._terminal.show(["Nothing to change: all of it stands already."])
        return not request.dry_run

    # -- the guard, and what it measures -------------------------------------------------------------------

    def _install(self, steps: Sequence[PlanStep], preparation: Preparation) -> list[RunStep]:
        acts = list(policy_run(self._site, preparation.inventory.cluster, steps, 0))
        if not self._request.wait:
            return acts
        store, clock, seconds = self._site.objects, self._site.clock, self._request.timeout
        acts.append(RunStep("wait for the guard", lambda: wait_for_rollout(store, clock, seconds)))
        if preparation.names and not preparation.declared:
            acts.append(RunStep(_LATER[0], lambda: self._measure(preparation.names[0])))
        return acts

    def _measure(self, namespace: str) -> str:
        self._measured = self._site.measure(namespace, self._request.timeout)
        places = listed([str(found.place) for found in self._measured.found], most=8)
        return f"{places or 'nothing'} ({self._measured.probes} probes)"

    # -- the baselines -------------------------------------------------------------------------------------

    def _baselines(self, preparation: Preparation, shown: Sequence[PlanStep]) -> int:
        measured = () if self._measured is None else self._measured.sources
        if self._measured is not None:
            self._terminal.show(measurement_lines(self._measured, preparation.inventory.cluster.sources))
        inventory = self._site.inventory(preparation.declared, measured, only=self._request.namespaces)
        limit = self._site.plugin_limit(inventory.cluster.sources)
        if limit is not None:
            self._terminal.show([f"Stopped: {limit}"], Tone.BAD)
            self._say_where_it_stands()
            return 2
        preparation = replace(preparation, inventory=inventory)
        steps = tried(self._site, preparation.policies())
        if not self._still_agreed(steps, shown):
            return 2
        acts = policy_run(self._site, inventory.cluster, steps, self._request.pause)
        if not self._perform(acts, _LATER[2:]):
            return 2
        if self._request.wait:
            return self._test(preparation, changed=bool(shown or steps))
        self._terminal.show(_NOT_TESTED)
        return 0

    def _still_agreed(self, steps: Sequence[PlanStep], shown: Sequence[PlanStep]) -> bool:
        """Show what measuring has changed in the plan; ask where nothing was asked before."""
        known = {(step.reference, step.diff()) for step in shown if step.change is not None}
        news = [step for step in steps if (step.reference, step.diff()) not in known]
        if not news:
            return True
        self._terminal.show(["What was measured changes the plan:"])
        return agreed(self._terminal, news, {}, yes=self._asked or self._request.yes)

    # -- the self-test, and what it permits ----------------------------------------------------------------

    def _test(self, preparation: Preparation, *, changed: bool) -> int:
        settings = self._site.guard_settings()
        test = SelfTest(self._site.objects, self._site.clock, preparation.inventory.cluster, settings)
        acts = [
            RunStep(f"self-test in {name}", partial(test.run, name, self._request.timeout))
            for name in preparation.names
        ]
        there = self._site.objects.get(CONFIGURATION)
        wanted = settings.failure_policy
        if is_held(there) or (wanted is FailurePolicy.FAIL and not is_armed(there)):
            acts.append(RunStep(f"failurePolicy {wanted.value}", lambda: self._release(wanted)))
            changed = True
        if not self._perform(acts, ()) or not all_pass(self._site, self._terminal, preparation):
            return 2
        self._summarise(preparation, wanted, changed=changed)
        return 0

    def _release(self, wanted: FailurePolicy) -> str:
        """Let the guard raise ``failurePolicy``, and wait until it has."""
        objects = self._site.objects
        there = objects.get(CONFIGURATION)
        if there is not None and is_held(there):
            objects.apply(released(self._manifests, there))
        if wanted is FailurePolicy.IGNORE:
            return "Ignore stays, as the settings say"
        for is_last in attempts(self._site.clock, self._request.timeout):
            if is_armed(objects.get(CONFIGURATION)):
                break
            if is_last:
                why = f"the guard has not raised it within {self._request.timeout:g} s"
                how = f"its log says why: kubectl logs -n {NAME} deployment/{NAME}"
                raise ChangeFailed("see failurePolicy raised", why, how)
        return "done"

    def _perform(self, acts: Sequence[RunStep], later: Sequence[str]) -> bool:
        done = perform(self._terminal, acts, self._request.again, later)
        if not done:
            self._say_where_it_stands()
        return done

    def _say_where_it_stands(self) -> None:
        armed = is_armed(self._site.objects.get(CONFIGURATION))
        policy = FailurePolicy.FAIL if armed else FailurePolicy.IGNORE
        self._terminal.show([f"failurePolicy stays {policy.value}. {_MEANING[policy]}"])

    def _summarise(self, preparation: Preparation, policy: FailurePolicy, *, changed: bool) -> None:
        show = self._terminal.show
        if not changed:
            show(["Nothing was changed: all of it stood already."])
        show([f"Guarded: {listed(preparation.names) or 'no namespace yet'}."], Tone.GOOD)
        show(source_lines(preparation.inventory.cluster.sources))
        show([f"failurePolicy: {policy.value}. {_MEANING[policy]}", *_AND_NOW])


def _permissions(manifests: Sequence[dict[str, object]], request: BootstrapRequest) -> tuple[Permission, ...]:
    """Return what it takes beside the policies: to write the guard's objects, and to see it run."""
    writing = object_permissions(manifests, ("get", "create", "patch"))
    probing = policy_permissions(request.namespaces, (PROBE_VERB,))
    return (*writing, *permissions(POD, ("list",), NAME), *probing)
