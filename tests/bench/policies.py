"""Policy sets to decide about: random ones of a busy namespace, and hostile ones."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.engine.oracle import Object
from tests.engine.universe import Generator

_KEYS = tuple(f"key-{number}" for number in range(12))
_VALUES = tuple(f"value-{number}" for number in range(20))
_CLAUSES_PER_VARIABLE = 4.26
"""Where random 3-SAT turns from satisfiable to not, and is hardest."""


@dataclass(frozen=True)
class BusyNamespace(Generator):
    """Random policies over as many labels as a real namespace has."""

    def selector(self, keys: tuple[str, ...] = _KEYS, values: tuple[str, ...] = _VALUES) -> Object:
        """Return a LabelSelector over ``keys`` and ``values``."""
        return Generator.selector(self, keys, values)


def random_policies(chance: Random, count: int) -> list[Object]:
    """Return ``count`` random policies, most of which isolate some pods and allow some flows."""
    make = BusyNamespace(chance)
    return [make.policy(f"random-{number}") for number in range(count)]


def narrow_policies(chance: Random, count: int) -> list[Object]:
    """Return random policies of which none selects every pod: no single one settles a flow."""
    policies = random_policies(chance, count)
    for policy in policies:
        policy["spec"]["podSelector"].setdefault("matchLabels", {})["app"] = f"app-{chance.randrange(count)}"
    return policies


def _policy(name: str, pods: Object, rules: list[Object]) -> Object:
    spec = {"podSelector": pods, "policyTypes": ["Ingress", "Egress"], "ingress": rules, "egress": rules}
    return {"metadata": {"name": name, "namespace": "ns-a"}, "spec": spec}


def satisfiability(chance: Random, count: int) -> list[Object]:
    """Return a random 3-SAT question near the phase transition.

    One policy isolates every pod and allows nothing, each of the others allows everything to the pods of one
    clause, of three labels: a flow is lost if labels exist that no clause takes in.
    """
    keys = max(3, round((count - 1) / _CLAUSES_PER_VARIABLE))
    policies = [_policy("isolate", {}, [])]
    for index in range(count - 1):
        terms = [
            {"key": f"k{key}", "operator": chance.choice(("Exists", "DoesNotExist"))}
            for key in chance.sample(range(keys), 3)
        ]
        policies.append(_policy(f"clause-{index}", {"matchExpressions": terms}, [{}]))
    return policies


def many_values(chance: Random, count: int) -> list[Object]:
    """Return policies over many keys with NotIn of some values each: large domains, and no short way."""
    keys = max(4, count // 5)
    policies = [_policy("isolate", {}, [])]
    for index in range(count - 1):
        terms = []
        for key in chance.sample(range(keys), 4):
            operator = chance.choice(("In", "NotIn", "NotIn"))
            values = chance.sample([f"v{value}" for value in range(6)], 3)
            terms.append({"key": f"k{key}", "operator": operator, "values": values})
        policies.append(_policy(f"values-{index}", {"matchExpressions": terms}, [{}]))
    return policies
