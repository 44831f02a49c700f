"""What NetworkPolicy objects mean, read the fast way and the careful way alike."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings

from app.engine.addresses import place_of
from app.engine.intervals import EMPTY
from app.engine.policy import ALLOW_ALL, Direction, Peers, PodPeer, Policy, Rule
from app.engine.ports import ALL_PORTS, PortSet, Protocol, port_range, position
from app.engine.selectors import EVERYTHING, Selector
from app.wire.fields import Findings
from app.wire.networkpolicy.decode import NotOrdinary, read_policy
from app.wire.networkpolicy.parse import ParsedPolicy, Validation, parse_policy, parse_stored
from app.wire.networkpolicy.validate import read_carefully
from tests.wire.api_server_cases import CASES, Json, block, expression, named, peer, policy, port
from tests.wire.strategies import ANYTHING

Reader = Callable[[Json], Policy]


def fast(obj: Json) -> Policy:
    return read_policy(json.dumps(obj).encode(), "default")[0]


def careful(obj: Json) -> Policy:
    read = parse_policy(obj, validation=Validation.STORED)
    assert read.errors == ()
    assert read.policy is not None
    return read.policy


@pytest.fixture(params=[fast, careful])
def read(request: pytest.FixtureRequest) -> Reader:
    """Each meaning is specified for both readers."""
    reader: Reader = request.param
    return reader


BOTH = frozenset(Direction)
INGRESS = frozenset({Direction.INGRESS})
EGRESS = frozenset({Direction.EGRESS})


def only_rule(read: Policy) -> Rule:
    (rule,) = (*read.ingress, *read.egress)
    return rule


def only_peers(read: Policy) -> Peers:
    peers = only_rule(read).peers
    assert peers is not None
    return peers


# ------------------------------------------------------------------- defaulting (rules 1, 5, 7, 8, 28)
def test_types_default_to_ingress(read: Reader) -> None:
    assert read(policy()).types == INGRESS


def test_one_egress_rule_adds_egress_to_the_default(read: Reader) -> None:
    assert read(policy(egress=[{}])).types == BOTH


def test_an_empty_egress_adds_nothing(read: Reader) -> None:
    assert read(policy(egress=[])).types == INGRESS


def test_given_types_stay_as_they_are(read: Reader) -> None:
    assert read(policy(policyTypes=["Egress"], ingress=[{}])).types == EGRESS


@pytest.mark.parametrize("ingress", [None, []])
def test_no_ingress_rules_allow_nothing_in(read: Reader, ingress: object) -> None:
    assert read(policy(ingress=ingress)).rules(Direction.INGRESS) == ()


def test_an_empty_rule_allows_everything_in(read: Reader) -> None:
    assert read(policy(ingress=[{}])).rules(Direction.INGRESS) == (ALLOW_ALL,)


def test_a_policy_without_spec_denies_all_ingress_of_all_pods(read: Reader) -> None:
    obj = policy()
    del obj["spec"]
    assert read(obj) == Policy("ns", "p", EVERYTHING, INGRESS)


def test_an_omitted_pod_selector_selects_all_pods(read: Reader) -> None:
    obj = {**policy(), "spec": {"policyTypes": ["Ingress"]}}
    assert read(obj).pods == EVERYTHING


def test_the_protocol_defaults_to_tcp(read: Reader) -> None:
    assert only_rule(read(port(port=53))).ports == PortSet.of([port_range(Protocol.TCP, 53, 53)])


def test_null_is_absent_everywhere(read: Reader) -> None:
    nulls = policy(
        podSelector={"matchLabels": None, "matchExpressions": None},
        ingress=[{"from": None, "ports": None}],
        egress=None,
        policyTypes=None,
    )
    assert read(nulls) == read(policy(ingress=[{}]))


def test_a_policy_without_namespace_takes_the_one_it_is_given() -> None:
    obj = {**policy(ingress=[{"from": [{"podSelector": {}}]}]), "metadata": {"name": "p"}}
    read = parse_stored(json.dumps(obj).encode(), namespace="here").policy
    assert read is not None
    assert read.namespace == "here"
    assert only_peers(read).pods == (PodPeer.own("here"),)
    assert parse_policy(obj, validation=Validation.NEW, namespace="here").policy == read


# ---------------------------------------------------------------------------- peers (rules 9-11, 13, 26)
@pytest.mark.parametrize("items", [None, []])
def test_no_peers_mean_anybody(read: Reader, items: object) -> None:
    assert only_rule(read(policy(ingress=[{"from": items}]))) == ALLOW_ALL


def test_a_pod_selector_alone_means_the_own_namespace(read: Reader) -> None:
    peers = only_peers(read(peer({"podSelector": {"matchLabels": {"app": "db"}}})))
    assert peers == Peers((PodPeer.own("ns", Selector.labels({"app": "db"})),))


def test_a_namespace_selector_alone_means_all_pods_there(read: Reader) -> None:
    peers = only_peers(read(peer({"namespaceSelector": {"matchLabels": {"team": "a"}}})))
    assert peers == Peers((PodPeer(Selector.labels({"team": "a"})),))


def test_both_selectors_in_one_item_must_match(read: Reader) -> None:
    item = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "db"}}}
    assert only_peers(read(peer(item))) == Peers((PodPeer(pods=Selector.labels({"app": "db"})),))


def test_items_are_a_union_in_which_order_and_repetition_mean_nothing(read: Reader) -> None:
    items = [
        {"podSelector": {"matchLabels": {"app": "b"}}},
        {"ipBlock": {"cidr": "10.0.0.0/9"}},
        {"podSelector": {"matchLabels": {"app": "a"}}},
        {"ipBlock": {"cidr": "10.128.0.0/9"}},
    ]
    once = only_peers(read(policy(ingress=[{"from": items}])))
    again = only_peers(read(policy(ingress=[{"from": [*reversed(items), items[0]]}])))
    assert once == again
    assert len(once.pods) == 2
    assert len(once.addresses.spans) == 1


def test_a_peer_that_contradicts_itself_is_nobody(read: Reader) -> None:
    contradiction = {
        "matchLabels": {"app": "a"},
        "matchExpressions": [{"key": "app", "operator": "DoesNotExist"}],
    }
    assert only_peers(read(peer({"podSelector": contradiction}))) == Peers()


def test_a_block_is_its_addresses_without_the_excepts(read: Reader) -> None:
    addresses = only_peers(read(block("10.0.0.0/8", "10.1.0.0/16"))).addresses
    assert place_of("10.0.0.1") in addresses
    assert place_of("10.1.0.1") not in addresses
    assert place_of("11.0.0.1") not in addresses


def test_host_bits_of_a_stored_block_are_masked(read: Reader) -> None:
    assert read(block("10.0.0.7/8", "10.1.2.3/16")) == read(block("10.0.0.0/8", "10.1.0.0/16"))


def test_leading_zeros_of_a_stored_block_mean_nothing(read: Reader) -> None:
    assert read(block("010.000.0.0/08")) == read(block("10.0.0.0/8"))


def test_an_ipv4_mapped_block_is_the_ipv4_block(read: Reader) -> None:
    assert read(block("::ffff:10.0.0.0/104")) == read(block("10.0.0.0/8"))


def test_an_except_of_the_other_family_takes_nothing_away(read: Reader) -> None:
    assert read(block("10.0.0.0/8", "fd00::/8")) == read(block("10.0.0.0/8"))


# --------------------------------------------------------------------------- ports (rules 9, 17-19)
@pytest.mark.parametrize("items", [None, []])
def test_no_ports_mean_all_protocols(read: Reader, items: object) -> None:
    assert only_rule(read(policy(ingress=[{"ports": items}]))).ports == ALL_PORTS


def test_a_protocol_without_port_means_all_its_ports_and_no_other_protocol(read: Reader) -> None:
    ports = only_rule(read(port(protocol="UDP"))).ports
    assert ports == PortSet.of([port_range(Protocol.UDP)])


def test_a_range_includes_both_ends(read: Reader) -> None:
    ports = only_rule(read(port(port=8000, endPort=8002))).ports
    inside = [number for number in range(7998, 8005) if position(Protocol.TCP, number) in ports.numbers]
    assert inside == [8000, 8001, 8002]


def test_a_port_name_stays_a_name_of_its_protocol(read: Reader) -> None:
    assert only_rule(read(port(port="dns", protocol="UDP"))).ports == PortSet.of([], [(Protocol.UDP, "dns")])


# ----------------------------------------------------------------------------------------- metadata
def test_a_deletion_timestamp_makes_the_policy_terminating(read: Reader) -> None:
    assert read(named(deletionTimestamp="2026-01-01T00:00:00Z")).terminating
    assert not read(named()).terminating


def test_the_metadata_that_decisions_need_comes_along() -> None:
    given = {
        "name": "p",
        "namespace": "ns",
        "generateName": "p-",
        "labels": {"a": "b"},
        "annotations": {"netpol-guard.iomete.com/override": "why"},
        "finalizers": ["example.com/f"],
        "uid": "u",
        "resourceVersion": "7",
        "managedFields": [{"manager": "kubectl"}],
        "ownerReferences": [],
    }
    fast = parse_stored(json.dumps({**policy(), "metadata": given}).encode()).metadata
    careful = parse_policy({**policy(), "metadata": given}, validation=Validation.NEW).metadata
    assert fast == careful
    assert fast.annotations == {"netpol-guard.iomete.com/override": "why"}
    assert (fast.generate_name, fast.finalizers, fast.uid) == ("p-", ("example.com/f",), "u")


# ------------------------------------------------- what cannot be understood allows nothing (rule 25)
def odd(obj: Json) -> ParsedPolicy:
    """Read an object that no API server ever let through, as if one had."""
    read = parse_stored(json.dumps(obj).encode())
    assert read.errors != ()
    return read


@pytest.mark.parametrize(
    "item",
    [
        {},
        None,
        "everybody",
        {"ipBlock": {"cidr": "nonsense"}},
        {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["nonsense"]}},
        {"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}},
        {"podSelector": {"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}},
        {"podSelector": {"matchExpressions": [{"key": "a", "operator": "NotIn"}]}},
        {"podSelector": {}, "namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "x"}]}},
        {"namespaceSelector": {"matchExpressions": [{"key": "", "operator": "DoesNotExist"}]}},
        {"podSelector": {"matchLabels": {"": "a"}}},
        {"podSelector": []},
    ],
)
def test_a_peer_that_is_not_understood_is_nobody(item: object) -> None:
    read = odd(peer(item)).policy
    assert read is not None
    assert only_peers(read) == Peers()


@pytest.mark.parametrize(
    "item",
    [
        {"protocol": "ICMP"},
        {"port": 0},
        {"port": 70000},
        {"port": ""},
        {"port": True},
        {"endPort": 80},
        {"port": 80, "endPort": 79},
        {"port": 80, "endPort": "90"},
        {"port": "http", "endPort": 80},
        "all",
    ],
)
def test_a_port_that_is_not_understood_lets_nothing_through(item: object) -> None:
    read = odd(policy(ingress=[{"ports": [item]}])).policy
    assert read is not None
    assert only_rule(read).ports == PortSet(EMPTY)


def test_what_is_understood_beside_it_still_counts() -> None:
    read = odd(
        policy(ingress=[{"from": [{}, {"podSelector": {}}], "ports": [{"port": 0}, {"port": 80}]}])
    ).policy
    assert read is not None
    assert only_rule(read) == Rule(
        Peers((PodPeer.own("ns"),)), PortSet.of([port_range(Protocol.TCP, 80, 80)])
    )


def test_a_rule_that_is_not_understood_keeps_its_place() -> None:
    read = odd(policy(ingress=["all", {}])).policy
    assert read is not None
    assert read.ingress == (Rule(Peers()), ALLOW_ALL)


def test_peers_that_are_no_list_are_nobody_rather_than_anybody() -> None:
    read = odd(policy(ingress=[{"from": {"podSelector": {}}}])).policy
    assert read is not None
    assert only_peers(read) == Peers()


def test_there_is_no_policy_where_nobody_can_say_whom_it_isolates() -> None:
    assert odd(expression(key="app", operator="Gt", values=["1"])).policy is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"NetworkPolicy"',
        b"\xff",
        b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p"}}',
        b'{"kind":"NetworkPolicy","apiVersion":"crd.projectcalico.org/v1","spec":{}}',
        b'{"spec":[]}',
        b'{"metadata":{"annotations":{"a":"\xff"}}}',
        b'{"spec":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    ],
)
def test_what_is_no_networkpolicy_is_an_error_and_no_policy(text: bytes) -> None:
    read = parse_stored(text)
    assert read.policy is None
    assert read.errors != ()


def test_metadata_of_the_wrong_type_is_an_error_and_the_policy_still_counts() -> None:
    read = odd(named(labels={"a": 1}))
    assert [error.path for error in read.errors] == ["metadata.labels[a]"]
    assert read.policy == fast(policy())


def test_label_values_that_were_valid_once_are_no_error_when_stored(read: Reader) -> None:
    selector = {"matchLabels": {"app": "not valid any more"}}
    assert read(policy(podSelector=selector)).pods == Selector.labels({"app": "not valid any more"})


@settings(max_examples=300)
@given(ANYTHING)
def test_no_object_whatsoever_makes_the_readers_fail(obj: object) -> None:
    text = json.dumps(obj).encode()
    stored = parse_stored(text)
    assert stored.policy is not None or stored.errors
    for validation in Validation:
        findings = Findings(validation)
        found, _ = read_carefully(json.loads(text), "default", findings)
        assert found is not None or findings.errors


@given(ANYTHING, ANYTHING)
def test_no_spec_whatsoever_makes_the_readers_fail(peers: object, ports: object) -> None:
    obj = policy(ingress=[{"from": [peers], "ports": [ports]}])
    stored = parse_stored(json.dumps(obj).encode()).policy
    assert stored is not None
    assert len(tuple(stored.ingress)) == 1
    assert parse_policy(obj, validation=Validation.NEW).policy is not None


@pytest.mark.parametrize("case", CASES)
def test_where_the_fast_way_reads_an_object_the_careful_way_agrees_and_has_no_complaint(case: str) -> None:
    text = json.dumps(CASES[case]).encode()
    findings = Findings(Validation.STORED)
    slow = read_carefully(json.loads(text), "default", findings)
    try:
        quick = read_policy(text, "default")
    except NotOrdinary:
        return
    assert quick == slow
    assert findings.errors == []


def test_rules_that_nobody_asked_for_yet_compare_as_those_that_were_read() -> None:
    rules = [{"ports": [{"port": port}]} for port in (1, 2, 3)]
    other = [{"ports": [{"port": port, "protocol": "TCP"}]} for port in (1, 2, 3)]
    read, unread, respelled = (fast(policy(ingress=ingress)).ingress for ingress in (rules, rules, other))
    as_tuple = tuple(read)
    assert read == unread == respelled == as_tuple == unread
    assert hash(fast(policy(ingress=rules)).ingress) == hash(as_tuple)
    assert unread[1:] == as_tuple[1:]
    assert fast(policy(ingress=rules)).ingress != fast(policy(ingress=rules[:2])).ingress
    assert fast(policy(ingress=rules)).ingress != fast(policy(ingress=rules[::-1])).ingress


def test_what_is_written_alike_means_another_thing_in_another_namespace() -> None:
    obj = policy(ingress=[{"from": [{"podSelector": {}}]}])
    one, other = (read_policy(json.dumps({**obj, "metadata": {"name": "p"}}).encode(), ns)[0] for ns in "ab")
    assert one.ingress != other.ingress


def test_ten_thousand_rules_are_read_in_order() -> None:
    rules = [{"ports": [{"port": 1 + index}]} for index in range(10_000)]
    read = parse_stored(json.dumps(policy(ingress=rules)).encode()).policy
    assert read is not None
    assert len(read.ingress) == 10_000
    assert read.ingress[4711].ports == PortSet.of([port_range(Protocol.TCP, 4712, 4712)])
