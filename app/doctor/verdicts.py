"""The engine's verdict on every managed namespace, asked once for equal policy sets.

Most namespaces of a platform carry the same policies. What those lose does not depend on the namespace's own
name unless a policy says it, so equal sets are judged once (``docs/design/performance.md``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from app.deadline import Deadline
from app.engine.baselines import Baseline, recognise
from app.engine.budget import Budget, TooComplexError
from app.engine.cluster import Cluster
from app.engine.effects import has_no_effect
from app.engine.judge import Judge, Loss, State
from app.engine.policy import Policy
from app.engine.regions import NamespaceTable
from app.engine.required_flows import Options, RequiredFlow, guarded_namespaces, required_flows

V = TypeVar("V")
_Key = tuple[object, ...]
_SECONDS = 2.0


def _seconds_of_a_question() -> Budget:
    return Deadline.after(_SECONDS)


@dataclass(frozen=True, slots=True)
class NamespaceVerdict:
    """One namespace as it stands: what it loses, and which of its policies are baselines.

    ``is_known`` is False where the question was too complex to be answered.
    """

    namespace: str
    policies: tuple[Policy, ...]
    flows: tuple[RequiredFlow, ...]
    losses: tuple[Loss, ...]
    baselines: Mapping[str, Baseline]
    is_known: bool = True


class Verdicts:
    """Verdicts on the namespaces of one cluster, remembered by what the policies say."""

    def __init__(
        self, cluster: Cluster, options: Options, budget: Callable[[], Budget] = _seconds_of_a_question
    ) -> None:
        """``budget`` gives each question its own bound."""
        self.cluster = cluster
        self.options = options
        self.guarded = guarded_namespaces(cluster)
        self.table = NamespaceTable(cluster.namespaces)
        self.budget = budget
        self._webhooks: dict[str, _Key] = {}
        for webhook in cluster.webhooks:
            self._webhooks[webhook.namespace] = (*self._webhook_key(webhook.namespace), webhook)
        self._memory: dict[_Key, object] = {}
        self._numbers: dict[Policy, int] = {}
        self._known: dict[tuple[str, str], int] = {}

    def of(self, namespace: str) -> NamespaceVerdict:
        """Return the verdict on a managed namespace."""
        policies = self.cluster.policies.get(namespace, ())
        flows = self._flows(namespace)
        key = ("losses", self._webhook_key(namespace), self.meaning(policies))
        losses = self.remembered(key, lambda: self.losses(policies, flows))
        stamped = () if losses is None else tuple(_stamped(loss, namespace) for loss in losses)
        baselines = self._baselines(namespace, policies)
        return NamespaceVerdict(namespace, policies, flows, stamped, baselines, losses is not None)

    def losses(
        self, policies: tuple[Policy, ...], flows: tuple[RequiredFlow, ...]
    ) -> tuple[Loss, ...] | None:
        """Return what ``policies`` lose of ``flows``; None where that is too complex to say."""
        try:
            judge = Judge(self.options.known_by(self.cluster), self.budget())
            return judge.audit(State(policies, self.table), flows).losses
        except TooComplexError:
            return None

    def is_without_effect(self, policy: Policy, others: tuple[Policy, ...]) -> bool:
        """Tell whether ``policy`` surely changes nothing beside ``others``."""
        key = ("effect", self.meaning((policy,)), self.meaning(others))

        def ask() -> bool:
            try:
                world = State(others, self.table).side().world
                return has_no_effect(policy, others, world, self.budget())
            except TooComplexError:
                return False

        return self.remembered(key, ask)

    def _flows(self, namespace: str) -> tuple[RequiredFlow, ...]:
        """Return the required flows; all namespaces without a webhook have the same, but for the name."""
        key = ("flows", self._webhook_key(namespace))

        def ask() -> tuple[RequiredFlow, ...]:
            return required_flows(self.cluster, namespace, self.options, self.guarded)

        return tuple(replace(flow, namespace=namespace) for flow in self.remembered(key, ask))

    def _webhook_key(self, namespace: str) -> _Key:
        # A webhook Service names its namespace, so a namespace that serves one shares with nobody.
        return self._webhooks.get(namespace, ())

    def _baselines(self, namespace: str, policies: tuple[Policy, ...]) -> Mapping[str, Baseline]:
        found = ((policy.name, self._baseline(namespace, policy)) for policy in policies)
        return {name: baseline for name, baseline in found if baseline is not None}

    def _baseline(self, namespace: str, policy: Policy) -> Baseline | None:
        key = ("baseline", self._webhook_key(namespace), self.meaning((policy,)))
        return self.remembered(key, lambda: recognise(policy, self.cluster))

    def meaning(self, policies: Iterable[Policy]) -> tuple[int, ...]:
        """Return a number for what each policy says: equal for namespaces with the same ones.

        The name of the namespace counts only where a policy says it.
        """
        return tuple(map(self._number, policies))

    def _number(self, policy: Policy) -> int:
        key = policy.namespace, policy.name
        number = self._known.get(key)
        if number is None:
            plain = replace(policy, namespace="")
            number = self._known[key] = self._numbers.setdefault(plain, len(self._numbers))
        return number

    def remembered(self, key: _Key, ask: Callable[[], V]) -> V:
        """Return what ``ask`` returned the first time for ``key``, whose first member names the question."""
        if key not in self._memory:
            self._memory[key] = ask()
        return self._memory[key]  # type: ignore[return-value]  # each key is asked by one question alone


def _stamped(loss: Loss, namespace: str) -> Loss:
    if loss.flow.namespace == namespace:
        return loss
    return replace(loss, flow=replace(loss.flow, namespace=namespace))
