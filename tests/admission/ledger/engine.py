"""The real engine in the simulation: its judge, random NetworkPolicies, and a few points of theirs."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_network
from random import Random

from app.admission.ledger.engine import EngineJudge
from app.admission.ledger.harmless import is_harmless, stateless_flows
from app.engine.addresses import network_set, place_of
from app.engine.baselines import written_baselines
from app.engine.budget import Unlimited
from app.engine.cluster import MANAGED, Cluster, Provenance, Source, TargetPort, WebhookService
from app.engine.points import Peer, Point, is_allowed
from app.engine.policy import ALLOW_ALL, Direction, Peers, PodPeer, Policy, Rule
from app.engine.ports import PortSet, Protocol, port_range, position
from app.engine.required_flows import IpBlockMatchesPods, Options, RequiredFlow
from app.engine.selectors import EVERYTHING, NAMESPACE_NAME_LABEL, LabelSet, Operator, Selector
from app.model.snapshot import Labels

_SOURCE = "10.0.0.1"
_OPERATOR = Selector.labels({"app": "a"})
_BOTH = frozenset(Direction)
CLUSTER = Cluster(
    sources=(Source(Provenance.MEASURED, "a probe", network_set(ip_network(_SOURCE))),),
    webhooks=(WebhookService("a", "hook", _OPERATOR, (TargetPort(Protocol.TCP, 443),)),),
)
_PODS: tuple[dict[str, str], ...] = ({}, {"app": "a"})
_PORTS = (position(Protocol.TCP, 80), position(Protocol.UDP, 53))
_SUBJECTS = (EVERYTHING, EVERYTHING, _OPERATOR, Selector.of([("app", LabelSet.of(Operator.NOT_IN, ["a"]))]))
_NAMESPACES = (
    EVERYTHING,
    MANAGED,
    Selector.labels({"team": "x"}),
    Selector.labels({"team": "y"}),
    Selector.of([("team", LabelSet.of(Operator.DOES_NOT_EXIST))]),
    Selector.labels({NAMESPACE_NAME_LABEL: "a"}),
)


class RememberingJudge(EngineJudge):
    """The engine's judge; the few policies of a simulation are compared over and over."""

    async def is_harmless(self, namespace: str, old: Policy | None, new: Policy | None) -> bool:
        return _is_harmless(namespace, old, new)


@lru_cache(maxsize=50_000)
def _is_harmless(namespace: str, old: Policy | None, new: Policy | None) -> bool:
    return old == new or is_harmless((old, new), _flows(namespace), _OPTIONS, Unlimited())


@lru_cache
def _flows(namespace: str) -> tuple[RequiredFlow, ...]:
    return stateless_flows(CLUSTER, namespace, _OPTIONS)


_OPTIONS = Options(IpBlockMatchesPods.NO)


class EngineModel:
    """NetworkPolicies, as the engine knows them."""

    judge = RememberingJudge(lambda: CLUSTER, _OPTIONS)

    def policy(self, chance: Random) -> Policy:
        draw = chance.random()
        if draw < 0.25:
            return self.deny_all()
        if draw < 0.45:
            return self.allow_all()
        types = chance.choice((_BOTH, _BOTH, frozenset({Direction.INGRESS}), frozenset({Direction.EGRESS})))
        ingress, egress = (tuple(_rule(chance) for _ in range(chance.choice((0, 1, 1, 2)))) for _ in range(2))
        return Policy("a", "random", chance.choice(_SUBJECTS), types, ingress, egress)

    def deny_all(self) -> Policy:
        return Policy("a", "deny", EVERYTHING, _BOTH)

    def allow_all(self) -> Policy:
        return Policy("a", "allow", EVERYTHING, _BOTH, (ALLOW_ALL,), (ALLOW_ALL,))

    def allow_managed(self) -> Policy:
        sources = Rule(Peers((), network_set(ip_network(_SOURCE))))
        rule = Rule(Peers((PodPeer(MANAGED),)))
        return Policy("a", "managed", EVERYTHING, _BOTH, (rule, sources), (rule,))

    def allow_team(self, team: str) -> Policy:
        sources = Rule(Peers((), network_set(ip_network(_SOURCE))))
        rule = Rule(Peers((PodPeer(Selector.labels({"team": team})),)))
        return Policy("a", "team", EVERYTHING, _BOTH, (rule, sources), (ALLOW_ALL,))

    def labels(self, name: str, team: str | None, *, managed: bool) -> Labels:
        found = {NAMESPACE_NAME_LABEL: name}
        if managed:
            found["iomete.com/managed"] = "true"
        return found if team is None else {**found, "team": team}

    def half(self, name: str) -> Policy:
        operator, managed = written_baselines(CLUSTER, "a")
        return operator if name == "half-a" else managed

    def open_points(self, namespace: str, policies: tuple[Policy, ...], peer: str, labels: Labels) -> int:
        """Return which of some points are open."""
        found, bit = 0, 1
        for direction, point in _points(namespace, peer, tuple(sorted(labels.items()))):
            if is_allowed(policies, direction, point):
                found |= bit
            bit <<= 1
        return found


@lru_cache(maxsize=1_000)
def _points(
    namespace: str, peer: str, labels: tuple[tuple[str, str], ...]
) -> tuple[tuple[Direction, Point], ...]:
    made = [
        (direction, Point(subject, Peer(peer, dict(labels), pod), place))
        for direction in Direction
        for subject in _PODS
        for pod in _PODS
        for place in _PORTS
    ]
    if namespace == peer == "a":
        source = Peer(address=place_of(_SOURCE))
        made.append((Direction.INGRESS, Point(_PODS[1], source, position(Protocol.TCP, 443))))
    return tuple(made)


def _rule(chance: Random) -> Rule:
    if chance.random() < 0.2:
        return ALLOW_ALL
    pods = tuple(
        PodPeer(chance.choice(_NAMESPACES), chance.choice((EVERYTHING, EVERYTHING, _OPERATOR)))
        for _ in range(chance.choice((1, 1, 2)))
    )
    peers = Peers(pods, network_set(ip_network(_SOURCE))) if chance.random() < 0.5 else Peers(pods)
    if chance.random() < 0.2:
        return Rule(peers, PortSet.of([port_range(Protocol.TCP)], []))
    return Rule(peers)
