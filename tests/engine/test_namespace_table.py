from __future__ import annotations

import random

import pytest

from app.engine.policy import Namespace
from app.engine.regions import NamespaceTable
from app.engine.selectors import NAMESPACE_NAME_LABEL, NOTHING, LabelSet, Operator, Selector

NAMES = [f"ns-{number}" for number in range(8)]
VALUES = {"team": ["a", "b", "c"], "tier": ["gold", ""], NAMESPACE_NAME_LABEL: [*NAMES, "elsewhere"]}


def some_table(seed: random.Random) -> NamespaceTable:
    def labels() -> dict[str, str]:
        return {key: seed.choice(VALUES[key]) for key in ("team", "tier") if seed.random() < 0.6}

    return NamespaceTable({name: Namespace.of(name, labels()) for name in NAMES})


def some_selector(seed: random.Random) -> Selector:
    terms = []
    for _ in range(seed.randint(0, 3)):
        key, operator = seed.choice(list(VALUES)), seed.choice(list(Operator))
        values = seed.sample(VALUES[key], seed.randint(1, len(VALUES[key])))
        has_values = operator in {Operator.IN, Operator.NOT_IN}
        terms.append((key, LabelSet.of(operator, values if has_values else ())))
    return Selector.of(terms)


@pytest.mark.parametrize("number", range(30))
def test_a_mask_has_the_bits_of_just_the_namespaces_that_the_selector_matches(number: int) -> None:
    seed = random.Random(number)
    table = some_table(seed)
    for selector in (NOTHING, Selector(), *(some_selector(seed) for _ in range(30))):
        matching = [name for name in table.order if selector.matches(table.namespaces[name].labels)]
        assert table.mask(selector) == table.mask_of(matching) == table.mask_of(frozenset(matching))


def test_names_that_do_not_exist_have_no_bit() -> None:
    table = some_table(random.Random(0))
    assert table.mask_of(frozenset({"nowhere"})) == table.mask_of(["nowhere"]) == 0
