"""Selectors as sets: containment and overlap are what intersection says they are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.engine.selectors import NOTHING, LabelSet, Selector

_VALUES = ("a", "b", "c")
LABEL_SETS = st.builds(LabelSet, st.frozensets(st.sampled_from(_VALUES)), st.booleans(), st.booleans())
SELECTORS = st.builds(Selector.of, st.lists(st.tuples(st.sampled_from("xyz"), LABEL_SETS), max_size=4))
LABELS = st.dictionaries(st.sampled_from("xyz"), st.sampled_from(_VALUES))


@given(LABEL_SETS, LABEL_SETS)
def test_label_sets_overlap_where_their_intersection_holds_something(one: LabelSet, other: LabelSet) -> None:
    assert one.overlaps(other) == bool(one & other)
    assert one.is_subset(other) == (not one & ~other)


@given(SELECTORS, SELECTORS)
def test_selectors_overlap_where_their_intersection_matches_something(one: Selector, other: Selector) -> None:
    if one and other:
        assert one.overlaps(dict(other.terms)) == bool(one & other)
    assert one.is_subset(other) == (one & other == one)


def test_nothing_overlaps_with_nothing_else() -> None:
    assert not NOTHING.overlaps({})
    assert not NOTHING.overlaps(dict(Selector.labels({"app": "db"}).terms))


@given(SELECTORS, LABELS)
def test_a_selector_that_matches_fewer_labels_matches_some_of_them(
    selector: Selector, labels: dict[str, str]
) -> None:
    fewer = [labels]
    for key in labels:
        fewer += [{name: labels[name] for name in labels if name != key} for labels in fewer]
    assert selector.matches_some_of(labels) == any(map(selector.matches, fewer))
