"""A NetworkPolicy as a frozen, canonical value (``networking.k8s.io/v1``; semantics rules 1-11).

Absent versus empty is settled here once: a rule without peers has ``peers=None`` (anyone), a policy without
rules has an empty tuple (nothing allowed). Nobody asks again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from app.engine.intervals import EMPTY, IntervalSet
from app.engine.ports import ALL_PORTS, PortSet
from app.engine.selectors import EVERYTHING, NAMESPACE_NAME_LABEL, Selector


class Direction(Enum):
    """A direction of traffic, spelled as in ``spec.policyTypes``."""

    INGRESS = "Ingress"
    EGRESS = "Egress"

    # Members are looked up in sets all the time; the hash of `Enum` is a function in Python.
    __hash__ = object.__hash__

    @property
    def field(self) -> str:
        """The member of ``spec`` that holds the rules: ``ingress`` or ``egress``."""
        return self.value.lower()

    @property
    def peers_field(self) -> str:
        """The member of a rule that holds the peers: ``from`` or ``to``."""
        return "from" if self is Direction.INGRESS else "to"


@dataclass(frozen=True, slots=True)
class PodPeer:
    """Pods that match ``pods`` in namespaces that match ``namespaces`` (rules 10, 11).

    A ``podSelector`` alone means the policy's own namespace; as every namespace carries its name as a label
    (rule 12), that is a namespace selector like any other: see ``PodPeer.own``.
    """

    namespaces: Selector = EVERYTHING
    pods: Selector = EVERYTHING

    @classmethod
    def own(cls, namespace: str, pods: Selector = EVERYTHING) -> PodPeer:
        """Return the peer of a ``podSelector`` without ``namespaceSelector`` in a policy of ``namespace``."""
        return cls(Selector.labels({NAMESPACE_NAME_LABEL: namespace}), pods)


@dataclass(frozen=True, slots=True)
class Peers:
    """The union of the ``from``/``to`` items of one rule: pods, and addresses (``ipBlock``)."""

    pods: tuple[PodPeer, ...] = ()
    addresses: IntervalSet = EMPTY


@dataclass(frozen=True, slots=True)
class Rule:
    """One item of ``ingress``/``egress``: it matches when a peer *and* a port match (rule 9).

    ``peers`` is None where the rule does not restrict the peer at all.
    """

    peers: Peers | None = None
    ports: PortSet = ALL_PORTS


ALLOW_ALL = Rule()
_MANY_RULES = 32
"""Fewer are looked at as fast as one of them is looked for."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A NetworkPolicy after defaulting, rules in the order of the object.

    ``terminating``: the object has a ``deletionTimestamp`` and may vanish without another review. Until then
    it is in force; that nothing is to rely on it any more, ``Judge`` sees to (``docs/design/decisions.md``,
    Finalizers).
    """

    namespace: str
    name: str
    pods: Selector
    types: frozenset[Direction]
    ingress: Sequence[Rule] = ()
    egress: Sequence[Rule] = ()
    terminating: bool = False

    def isolates(self, direction: Direction) -> bool:
        """Tell whether the pods that the policy selects are isolated in ``direction`` (rule 2)."""
        return direction in self.types

    def rules(self, direction: Direction) -> Sequence[Rule]:
        """Return the rules that allow in ``direction``: none without that type (rule 6)."""
        if direction not in self.types:
            return ()
        return self.ingress if direction is Direction.INGRESS else self.egress

    def allowing(self, direction: Direction) -> Sequence[Rule]:
        """Return rules that say all that ``rules`` say, for whoever asks what is allowed.

        Rules add up (rule 3), so one that allows everything stands for any number of others. Sequences that
        are read late know by themselves whether they hold one: as ``allows_everything``.
        """
        rules = self.rules(direction)
        is_open = getattr(rules, "allows_everything", None)
        if is_open is None:
            is_open = len(rules) > _MANY_RULES and ALLOW_ALL in rules
        return (ALLOW_ALL,) if is_open else rules

    def with_rules(self, direction: Direction, rules: Sequence[Rule]) -> Policy:
        """Return the policy with other rules in ``direction``."""
        if direction is Direction.INGRESS:
            return replace(self, ingress=rules)
        return replace(self, egress=rules)


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace with its labels, ``kubernetes.io/metadata.name`` always among them."""

    name: str
    labels: Mapping[str, str]
    terminating: bool = False

    @classmethod
    def of(
        cls, name: str, labels: Mapping[str, str] | None = None, *, terminating: bool = False
    ) -> Namespace:
        """Return a namespace; the name label is added, as the API server does (rule 12)."""
        return cls(name, {**(labels or {}), NAMESPACE_NAME_LABEL: name}, terminating)
