"""The careful way from a NetworkPolicy object to a ``Policy``: reads anything, says all that is wrong.

Paths, order and words of the errors are those of ``pkg/apis/networking/validation`` in Kubernetes. What is
not understood allows nothing: a wrong port lets nothing through, a wrong peer is nobody, and the error
says so.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.engine.addresses import block_set
from app.engine.intervals import EMPTY, IntervalSet
from app.engine.policy import Direction, Peers, PodPeer, Policy, Rule
from app.engine.ports import ALL_PORTS, PortSet, Protocol, port_range
from app.engine.selectors import Selector
from app.wire.errors import FieldError, forbidden, invalid, required, unsupported, wrong_type
from app.wire.fields import Findings
from app.wire.networkpolicy.canonical import defaulted_types, pod_peer, united
from app.wire.networkpolicy.cidrs import NOT_A_CIDR, NOT_INSIDE, Cidr, read_cidr
from app.wire.networkpolicy.selectors import read_selector
from app.wire.networkpolicy.shapes import API_VERSION, KIND
from app.wire.objects.metadata import NO_METADATA, Metadata, read_metadata
from app.wire.syntax import port_name, port_number

_PROTOCOLS = {protocol.value: protocol for protocol in Protocol}
_DIRECTIONS = {direction.value: direction for direction in Direction}
_NOTHING = PortSet(EMPTY)
_MOST_TYPES = 2

Item = PodPeer | IntervalSet | None
"""One understood item of ``from``/``to``; None is one that matches nobody."""


def _number(value: object, path: str, findings: Findings) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    findings.add(wrong_type(path, value, "a whole number"))
    return None


def _protocol(value: object, path: str, findings: Findings) -> Protocol | None:
    if value is None:
        return Protocol.TCP
    spelled = findings.text(value, path)
    if spelled is not None and spelled not in _PROTOCOLS:
        findings.add(unsupported(path, spelled, _PROTOCOLS))
    return _PROTOCOLS.get(spelled or "")


def _end_port(last: int, port: object, path: str, findings: Findings) -> bool:
    """Tell whether ``endPort`` may stand beside ``port`` (rule 18)."""
    complaints = port_number(last)
    if port is None:
        complaints = ["may not be specified when `port` is not specified"]
    elif isinstance(port, str):
        complaints = ["may not be specified when `port` is non-numeric"]
    elif isinstance(port, int) and last < port:
        complaints = ["must be greater than or equal to `port`", *complaints]
    findings.complain(path, last, complaints)
    return not complaints


def _port_value(port: object, path: str, findings: Findings) -> bool:
    """Tell whether ``port`` is understood: absent, a port number, or a name (rules 17, 19, 23)."""
    if port is None:
        return True
    if isinstance(port, str):
        if findings.is_new or not port:
            findings.complain(path, port, port_name(port))
        return bool(port)
    if isinstance(port, int) and not isinstance(port, bool):
        findings.complain(path, port, port_number(port))
        return not port_number(port)
    findings.add(wrong_type(path, port, "a whole number or a string"))
    return False


def _port(value: object, path: str, findings: Findings) -> IntervalSet | tuple[Protocol, str] | None:
    if (members := findings.mapping(value, path)) is None:
        return None
    port, end = members.get("port"), members.get("endPort")
    protocol = _protocol(members.get("protocol"), f"{path}.protocol", findings)
    last = None if end is None else _number(end, f"{path}.endPort", findings)
    if isinstance(port, str):  # the API server complains about endPort first where port is a name
        ends = last is None or _end_port(last, port, f"{path}.endPort", findings)
        understood = _port_value(port, f"{path}.port", findings)
    else:
        understood = _port_value(port, f"{path}.port", findings)
        ends = last is None or _end_port(last, port, f"{path}.endPort", findings)
    if protocol is None or not understood or not ends or (end is not None and last is None):
        return None
    if isinstance(port, str):
        return protocol, port
    if not isinstance(port, int):
        return port_range(protocol)
    return port_range(protocol, port, port if last is None else last)


def _ports(value: object, path: str, findings: Findings) -> PortSet:
    if (items := findings.items(value, path)) is None:
        return _NOTHING
    if not items:
        return ALL_PORTS
    read = [_port(port, f"{path}[{index}]", findings) for index, port in enumerate(items)]
    return PortSet.of(
        [port for port in read if isinstance(port, IntervalSet)],
        [port for port in read if isinstance(port, tuple)],
    )


def _cidr(text: str, path: str, findings: Findings) -> Cidr | None:
    cidr = read_cidr(text)
    if cidr is None:
        findings.add(invalid(path, text, NOT_A_CIDR))
    elif cidr.complaint and findings.is_new:
        findings.add(invalid(path, text, cidr.complaint))
    return cidr


def _excepted(text: str, path: str, outer: Cidr, findings: Findings) -> Cidr | None:
    inner = _cidr(text, path, findings)
    if inner is not None and findings.is_new and not outer.holds(inner):
        findings.add(invalid(path, text, NOT_INSIDE))
    return inner


def _block(value: object, path: str, findings: Findings) -> IntervalSet | None:
    """Return the addresses of an ``ipBlock``; an ``except`` that is not understood spoils it whole."""
    if (members := findings.mapping(value, path)) is None:
        return None
    spelled = findings.text(members.get("cidr"), f"{path}.cidr")
    excepts = findings.texts(members.get("except"), f"{path}.except")
    if spelled == "":
        findings.add(required(f"{path}.cidr"))
    outer = _cidr(spelled, f"{path}.cidr", findings) if spelled else None
    if outer is None or excepts is None:
        return None
    places = (f"{path}.except[{index}]" for index in range(len(excepts)))
    inner = [_excepted(text, place, outer, findings) for text, place in zip(excepts, places, strict=True)]
    return None if None in inner else block_set(outer.network, [cidr.network for cidr in inner if cidr])


def _selectors(
    members: Mapping[str, object], path: str, findings: Findings
) -> tuple[bool, Selector | None, Selector | None]:
    """Return whether all was understood, and the peer's ``namespaceSelector`` and ``podSelector``."""
    read: dict[str, Selector | None] = {}
    for field in ("podSelector", "namespaceSelector"):
        if members.get(field) is not None:
            read[field] = read_selector(members[field], f"{path}.{field}", findings)
    return None not in read.values(), read.get("namespaceSelector"), read.get("podSelector")


def _peer(value: object, path: str, namespace: str, findings: Findings) -> Item:
    if (members := findings.mapping(value, path)) is None:
        return None
    understood, namespaces, pods = _selectors(members, path, findings)
    selected = members.get("podSelector") is not None or members.get("namespaceSelector") is not None
    block = members.get("ipBlock")
    addresses = None if block is None else _block(block, f"{path}.ipBlock", findings)
    if block is not None:
        if selected:
            findings.add(forbidden(path, "may not specify both ipBlock and another peer"))
        return None if selected else addresses
    if not selected:
        findings.add(required(path, "must specify a peer"))
    return pod_peer(namespaces, pods, namespace) if selected and understood else None


def _peers(value: object, path: str, namespace: str, findings: Findings) -> Peers | None:
    if (items := findings.items(value, path)) is None:
        return Peers()
    if not items:
        return None
    return united([_peer(peer, f"{path}[{index}]", namespace, findings) for index, peer in enumerate(items)])


def _rules(
    spec: Mapping[str, object], direction: Direction, namespace: str, findings: Findings
) -> tuple[Rule, ...]:
    path = f"spec.{direction.field}"
    rules: list[Rule] = []
    for index, rule in enumerate(findings.items(spec.get(direction.field), path) or []):
        place = f"{path}[{index}]"
        if (members := findings.mapping(rule, place)) is None:
            rules.append(Rule(Peers()))
            continue
        ports = _ports(members.get("ports"), f"{place}.ports", findings)
        field = direction.peers_field
        rules.append(Rule(_peers(members.get(field), f"{place}.{field}", namespace, findings), ports))
    return tuple(rules)


def read_rule(obj: object, direction: Direction, namespace: str, findings: Findings) -> Rule:
    """Return one rule, as far as it is understood."""
    [rule] = _rules({direction.field: [obj]}, direction, namespace, findings)
    return rule


def _types(value: object, findings: Findings) -> frozenset[Direction]:
    path = "spec.policyTypes"
    items = findings.items(value, path) or []
    read = [findings.text(item, f"{path}[{index}]") for index, item in enumerate(items)]
    if len(read) > _MOST_TYPES:
        findings.add(invalid(path, read, "may not specify more than two policyTypes"))
    else:
        for index, text in enumerate(read):
            if text is not None and text not in _DIRECTIONS:
                findings.add(unsupported(f"{path}[{index}]", text, _DIRECTIONS))
    return frozenset(_DIRECTIONS[text] for text in read if text in _DIRECTIONS)


def _check_kind(members: Mapping[str, object], findings: Findings) -> bool:
    before = len(findings.errors)
    for field, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        value = members.get(field)
        if value is None and findings.is_new:
            findings.add(required(field))
        elif value is not None and value != wanted:
            findings.add(unsupported(field, value, [wanted]))
    return len(findings.errors) == before


def read_carefully(obj: object, namespace: str, findings: Findings) -> tuple[Policy | None, Metadata]:
    """Return the policy that ``obj`` is, as far as it is understood, and its metadata.

    No policy comes back where ``obj`` is no NetworkPolicy at all, or where its ``podSelector`` cannot be
    understood: nobody could then say whom it isolates. ``namespace`` counts where the object names none.
    """
    members = findings.mapping(obj, "") if obj is not None else None
    if members is None:
        if obj is None:
            findings.add(FieldError("", "Required value: must be a NetworkPolicy, not null"))
        return None, NO_METADATA
    is_policy = _check_kind(members, findings)
    metadata = read_metadata(members.get("metadata"), findings)
    spec = findings.mapping(members.get("spec"), "spec")
    if spec is None or not is_policy:
        return None, metadata
    home = metadata.namespace or namespace
    pods = read_selector(spec.get("podSelector"), "spec.podSelector", findings)
    ingress = _rules(spec, Direction.INGRESS, home, findings)
    egress = _rules(spec, Direction.EGRESS, home, findings)
    types = defaulted_types(_types(spec.get("policyTypes"), findings), spec.get("egress"))
    if pods is None:
        return None, metadata
    terminating = metadata.deletion_timestamp is not None
    return Policy(home, metadata.name, pods, types, ingress, egress, terminating), metadata
