"""Random engine policies, and random objects of which anything may be wrong."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from hypothesis import strategies as st

from app.engine.addresses import block_set
from app.engine.intervals import IntervalSet
from app.engine.policy import Direction, Peers, PodPeer, Policy, Rule
from app.engine.ports import ALL_PORTS, PortSet, Protocol, port_range
from app.engine.selectors import NOTHING, LabelSet, Operator, Selector

LABEL_KEYS = st.sampled_from(["app", "tier", "example.com/team", "kubernetes.io/metadata.name"])
LABEL_VALUES = st.sampled_from(["", "a", "b", "gold", "true"])
NAMESPACES = st.sampled_from(["ns", "data-plane"])


@st.composite
def label_sets(draw: st.DrawFn) -> LabelSet:
    operator = draw(st.sampled_from(Operator))
    if operator in {Operator.IN, Operator.NOT_IN}:
        return LabelSet.of(operator, draw(st.sets(LABEL_VALUES, min_size=1, max_size=3)))
    return LabelSet.of(operator)


SELECTORS = st.lists(st.tuples(LABEL_KEYS, label_sets()), max_size=4).map(Selector.of)


@st.composite
def v4_networks(draw: st.DrawFn) -> IPv4Network:
    return IPv4Network((draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 32))), strict=False)


@st.composite
def v6_networks(draw: st.DrawFn) -> IPv6Network:
    return IPv6Network((draw(st.integers(2**120, 2**128 - 1)), draw(st.integers(8, 128))), strict=False)


@st.composite
def blocks(draw: st.DrawFn) -> IntervalSet:
    if draw(st.booleans()):
        return block_set(draw(v4_networks()), draw(st.lists(v4_networks(), max_size=2)))
    return block_set(draw(v6_networks()), draw(st.lists(v6_networks(), max_size=2)))


@st.composite
def peers(draw: st.DrawFn) -> Peers:
    found = draw(st.lists(st.builds(PodPeer, SELECTORS, SELECTORS), max_size=3))
    some = {peer for peer in found if NOTHING not in (peer.namespaces, peer.pods)}
    addresses = IntervalSet.union(draw(st.lists(blocks(), max_size=2)))
    return Peers(tuple(some), addresses)


@st.composite
def port_sets(draw: st.DrawFn) -> PortSet:
    protocols = st.sampled_from(Protocol)
    ends = st.tuples(st.integers(1, 65535), st.integers(1, 65535))
    ranges = st.builds(
        lambda protocol, bounds: port_range(protocol, min(bounds), max(bounds)), protocols, ends
    )
    numbers = draw(st.lists(st.one_of(ranges, protocols.map(port_range)), max_size=3))
    names = draw(st.lists(st.tuples(protocols, st.sampled_from(["http", "https"])), max_size=2))
    return PortSet.of(numbers, names) if numbers or names else ALL_PORTS


RULES = st.builds(Rule, st.none() | peers(), port_sets())


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    return Policy(
        draw(NAMESPACES),
        draw(st.sampled_from(["p", "default-deny"])),
        draw(SELECTORS),
        draw(st.frozensets(st.sampled_from(Direction), min_size=1)),
        ingress=tuple(draw(st.lists(RULES, max_size=3))),
        egress=tuple(draw(st.lists(RULES, max_size=3))),
    )


WORDS = st.sampled_from(
    [
        *("apiVersion", "kind", "metadata", "spec", "podSelector", "namespaceSelector", "matchLabels"),
        *(
            "matchExpressions",
            "key",
            "operator",
            "values",
            "ingress",
            "egress",
            "from",
            "to",
            "ports",
            "port",
        ),
        *("protocol", "endPort", "ipBlock", "cidr", "except", "policyTypes", "name", "namespace", "labels"),
        *("networking.k8s.io/v1", "NetworkPolicy", "Ingress", "Egress", "In", "Exists", "TCP", "10.0.0.0/8"),
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 70_000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    WORDS,
)
ANYTHING: st.SearchStrategy[object] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=6),
    ),
    max_leaves=25,
)
