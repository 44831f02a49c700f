"""Valid reviews, and ways to spoil them; each returns the bytes of a body."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from app.model.probe import PROBE_ANNOTATION
from tests.admission.world import DENY_ALL, MANAGED, NS, baselines, manifest, namespace, rendered, request
from tests.engine.universe import Generator

Object = dict[str, Any]
Place = tuple[Any, Any]
"""A container and a key or index into it."""

_DUPLICATE = "\N{SECTION SIGN}"
_WEIRD_TEXTS = (
    "",
    " ",
    "\x00",
    "\N{SNOWMAN}",
    "\ud800",
    "a" * 70_000,
    "-",
    "a/b/c",
    "0x10",
    "*",
    "${}",
    "null",
)
_WEIRD_NUMBERS = (0, -1, 65536, 2**31, 2**63, 2**64, 10**400, 1.5, -0.0, 1e308, float("nan"), float("inf"))
_WEIRD_VALUES: tuple[Any, ...] = (None, True, False, [], {}, [[]], [None], {"": None}, [{}], {"a": {"a": []}})
_CIDRS = (
    "0.0.0.0/0",
    "::/0",
    "10.0.0.0/33",
    "10.0.0.1/8",
    "::ffff:1.2.3.4/100",
    "1.2.3.4",
    "010.0.0.0/8",
    "/",
    "fe80::1%eth0/64",
)
_DEPTHS = (50, 900, 1_100, 20_000)
_MANY = 10_000


def review(asked: Object) -> Object:
    """Return the AdmissionReview of a request."""
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": asked}


PROBE: Object = {"annotations": {PROBE_ANNOTATION: "0123456789abcdef"}}


def valid_reviews(chance: Random) -> tuple[Object, ...]:
    """Return reviews as an API server sends them: every operation, policies and namespaces."""
    first, second = (rendered(baseline) for baseline in baselines())
    plain = manifest("random", {**Generator(chance).policy("random")["spec"]})
    return tuple(
        review(asked)
        for asked in (
            request("CREATE", DENY_ALL),
            request("CREATE", plain),
            request("UPDATE", plain, first),
            request("UPDATE", second, second),
            request("CREATE", {**plain, "metadata": {**plain["metadata"], **PROBE}}, dryRun=True),
            request("DELETE", None, first),
            request("DELETE", None, DENY_ALL),
            request("UPDATE", namespace(NS, {}), namespace(NS, MANAGED)),
            request("CREATE", namespace("new-plane", MANAGED)),
        )
    )


def mutate(chance: Random, valid: Object) -> tuple[str, bytes]:
    """Return the name of a way to spoil ``valid``, and the body that comes of it."""
    name = chance.choices(_NAMES, _WEIGHTS)[0]
    return name, _MUTATIONS[name][0](chance, copy.deepcopy(valid))


def _text(value: Object) -> bytes:
    # A lone surrogate, which JSON can spell and UTF-8 cannot, stays spelled.
    return json.dumps(value, separators=(",", ":")).encode()


def _places(value: Any) -> Iterator[Place]:  # noqa: ANN401 - any JSON
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs):
        yield value, key
        yield from _places(inner)


def _any_place(chance: Random, value: Object) -> Place:
    return chance.choice(list(_places(value)))


def _strange(chance: Random) -> Any:  # noqa: ANN401 - any JSON
    return copy.deepcopy(chance.choice(chance.choice((_WEIRD_TEXTS, _WEIRD_NUMBERS, _WEIRD_VALUES, _CIDRS))))


def _flipped(chance: Random, valid: Object) -> bytes:
    body = bytearray(_text(valid))
    for _ in range(chance.choice((1, 1, 2, 8))):
        body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
    return bytes(body)


def _truncated(chance: Random, valid: Object) -> bytes:
    body = _text(valid)
    return body[: chance.randrange(len(body))]


def _spliced(chance: Random, valid: Object) -> bytes:
    body = _text(valid)
    at, other = chance.randrange(len(body)), chance.randrange(len(body))
    return body[:at] + body[other : other + chance.randrange(200)] + body[at:]


def _invalid_utf8(chance: Random, valid: Object) -> bytes:
    body = _text(valid)
    at = chance.randrange(len(body))
    return (
        body[:at] + chance.choice((b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xe2\x82", b"\x00")) + body[at:]
    )


def _deleted(chance: Random, valid: Object) -> bytes:
    for _ in range(chance.choice((1, 1, 2, 4))):
        container, key = _any_place(chance, valid)
        del container[key]
        if not valid:
            break
    return _text(valid)


def _replaced(chance: Random, valid: Object) -> bytes:
    for _ in range(chance.choice((1, 1, 2, 4))):
        container, key = _any_place(chance, valid)
        container[key] = _strange(chance)
    return _text(valid)


def _moved(chance: Random, valid: Object) -> bytes:
    container, key = _any_place(chance, valid)
    source, other = _any_place(chance, valid)
    container[key] = copy.deepcopy(source[other])
    return _text(valid)


def _duplicated(chance: Random, valid: Object) -> bytes:
    container, key = _any_place(chance, valid)
    if isinstance(container, list):
        container += [copy.deepcopy(container[key])] * chance.choice((1, 100))
        return _text(valid)
    container[f"{key}{_DUPLICATE}"] = chance.choice((container[key], _strange(chance)))
    return _text(valid).replace(json.dumps(_DUPLICATE).strip('"').encode() + b'"', b'"')


def _nested(chance: Random, valid: Object) -> bytes:
    container, key = _any_place(chance, valid)
    container[key] = _DUPLICATE
    depth = chance.choice(_DEPTHS)
    opening, closing = chance.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'[{"spec":', b"}]"), (b"[", b"")))
    return _text(valid).replace(json.dumps(_DUPLICATE).encode(), opening * depth + b"1" + closing * depth)


def _spec_of(chance: Random, valid: Object) -> Object | None:
    asked = valid["request"]
    found = [asked[name] for name in ("object", "oldObject") if asked[name] and "spec" in asked[name]]
    return chance.choice(found)["spec"] if found else None


def _selector(chance: Random) -> Object:
    keys = (
        "app",
        "tier",
        "a/b",
        "",
        "kubernetes.io/metadata.name",
        "iomete.com/managed",
        "x" * 64,
        "\ud800",
        "a b",
    )
    values = ("", "a", "true", "-", "x" * 64, "\N{SNOWMAN}", "data-plane")
    operators = ("In", "NotIn", "Exists", "DoesNotExist", "in", "Gt", "", None, 1)
    terms = [
        {
            "key": chance.choice(keys),
            "operator": chance.choice(operators),
            "values": chance.choices(values, k=chance.randrange(4)),
        }
        for _ in range(chance.choice((1, 2, 3, 60)))
    ]
    return {"matchLabels": {chance.choice(keys): chance.choice(values)}, "matchExpressions": terms}


def _selectors(chance: Random, valid: Object) -> bytes:
    spec = _spec_of(chance, valid)
    if spec is not None:
        peers = [{"podSelector": _selector(chance)}, {"namespaceSelector": _selector(chance)}]
        peers += [
            {"podSelector": _selector(chance), "namespaceSelector": {}},
            {"ipBlock": {"cidr": chance.choice(_CIDRS)}},
        ]
        ports = [{"port": chance.choice((1, "http", 0, "80", -1)), "endPort": chance.choice((1, 9, 70_000))}]
        spec["podSelector"] = chance.choice(({}, _selector(chance)))
        spec["ingress"] = [{"from": chance.choices(peers, k=2), "ports": chance.choice(([], ports))}]
        spec["policyTypes"] = chance.choice((["Ingress"], ["Egress"], ["Ingress", "Egress"], [], ["x"]))
    return _text(valid)


def _valid_terms(chance: Random) -> Object:
    pairs = chance.sample(range(40), 3)
    operators = ("Exists", "DoesNotExist")
    terms: list[Object] = [{"key": f"k{pair}", "operator": chance.choice(operators)} for pair in pairs[:2]]
    terms.append({"key": f"k{pairs[2]}", "operator": "NotIn", "values": ["a", "b"]})
    return {"matchExpressions": terms}


def _thousands(chance: Random, valid: Object) -> bytes:
    """Return a body with 10,000 rules, all valid: no defect but the amount."""
    spec = _spec_of(chance, valid)
    if spec is not None:
        match chance.randrange(4):
            case 0:
                rules: list[Object] = [{} for _ in range(_MANY)]
            case 1:
                rules = [{"ports": [{"protocol": "TCP", "port": 1 + number}]} for number in range(_MANY)]
            case 2:
                rules = [
                    {"from": [{"ipBlock": {"cidr": f"10.{number >> 8}.{number & 255}.0/24"}}]}
                    for number in range(_MANY)
                ]
            case _:
                rules = [{"from": [{"podSelector": _valid_terms(chance)}]} for _ in range(_MANY)]
        spec["ingress"] = rules
    return _text(valid)


_MUTATIONS: dict[str, tuple[Callable[[Random, Object], bytes], float]] = {
    "bits flipped": (_flipped, 4),
    "truncated": (_truncated, 2),
    "spliced": (_spliced, 2),
    "invalid UTF-8": (_invalid_utf8, 1),
    "member deleted": (_deleted, 4),
    "member replaced": (_replaced, 6),
    "member moved": (_moved, 3),
    "member duplicated": (_duplicated, 3),
    "deeply nested": (_nested, 1),
    "weird selectors": (_selectors, 4),
    "10,000 rules": (_thousands, 0.03),
}
_NAMES = tuple(_MUTATIONS)
_WEIGHTS = [weight for _, weight in _MUTATIONS.values()]
