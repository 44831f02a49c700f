from __future__ import annotations

import re

import pytest

from app.admission.ledger.contents import Contents, LedgerUnusable
from app.admission.ledger.entries import (
    Created,
    Entry,
    HalfEntry,
    LabelsEntry,
    Moved,
    PolicyEntry,
    UnknownEntry,
    WholeEntry,
    decoded,
    encoded,
    key_of,
    settled_at,
)
from app.admission.ledger.marks import Marks, raised
from app.model.snapshot import Resource, Stored, StoredNamespace, Version, Watched, version_of

_ENTRIES: tuple[Entry, ...] = (
    PolicyEntry("team-a", "default-deny", Moved(10_442)),
    PolicyEntry("team-a", "a.dotted.name", Created("0e8a")),
    PolicyEntry("team-a", "p", Moved(None)),
    HalfEntry("team-a", "iomete-spark-operator", Created("0e8a")),
    LabelsEntry("n" * 63, Moved(7), {"a": "1", "b": ""}, {"a": "1", "c": "x y"}),
    LabelsEntry("n", Created("0e8a"), None, {"kubernetes.io/metadata.name": "n"}),
    WholeEntry("n"),
    WholeEntry(""),
)


@pytest.mark.parametrize("entry", _ENTRIES)
def test_an_entry_reads_as_it_was_written(entry: Entry) -> None:
    key = key_of(entry, "7f3a")
    assert re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key)
    assert decoded(key, encoded(entry)) == entry


def test_an_entry_of_a_policy_takes_about_a_hundred_bytes() -> None:
    entry = PolicyEntry("team-a", "default-deny", Created("123e4567-e89b-12d3-a456-426614174000"))
    assert len(key_of(entry, "0123456789abcdef")) + len(encoded(entry)) < 110


@pytest.mark.parametrize(
    "value",
    [
        "",
        "policy",
        "policy moved 7",
        "policy moved 7 ",
        "policy gone 7 p",
        "half moved 7 p",
        "labels moved 7 {",
        'labels moved 7 {"both":{},"old":{},"new":{"a":1}}',
        "labels moved 7 []",
        "epoch 7 of something",
    ],
)
def test_what_is_not_understood_counts_as_all_of_its_namespace(value: str) -> None:
    assert decoded("entry.team-a.7f", value) == UnknownEntry("team-a")
    assert decoded("lease.team-a.7f", "policy moved 7 p") == UnknownEntry("team-a")


def test_a_key_without_a_namespace_counts_for_every_namespace() -> None:
    assert decoded("something", "policy moved 7 p") == UnknownEntry("")


def test_a_format_that_is_not_known_is_not_used() -> None:
    with pytest.raises(LedgerUnusable, match="format '2'"):
        Contents.decode({"format": "2"})


def _policies(version: Version, **policies: Stored[str]) -> Watched[str]:
    return Watched({"a": policies}, version, {}, 50)


def test_an_update_or_deletion_is_settled_when_the_object_is_newer_or_gone() -> None:
    entry = PolicyEntry("a", "p", Moved(10))
    assert settled_at(entry, _policies(15, p=Stored("u1", 10, "spec"))) is None
    assert settled_at(entry, _policies(15, p=Stored("u1", 12, "spec"))) == 12
    assert settled_at(entry, _policies(15)) == 15
    assert settled_at(entry, _policies(9)) is None
    assert settled_at(entry, Watched({}, 15, {}, 50, {"a/p": 13})) == 13
    assert settled_at(entry, Watched({}, 15, {}, 50, {"a/p": 8})) == 15


def test_a_creation_is_settled_when_its_uid_was_seen_whatever_has_its_name() -> None:
    entry = PolicyEntry("a", "p", Created("u2"))
    assert settled_at(entry, _policies(15, p=Stored("u1", 12, "spec"))) is None
    assert settled_at(entry, _policies(15, p=Stored("u2", 12, "spec"))) == 12
    assert settled_at(entry, _policies(15)) is None
    assert settled_at(entry, Watched({}, 15, {}, 50, {"u2": 14})) == 14


def test_versions_that_are_no_numbers_settle_nothing() -> None:
    assert settled_at(PolicyEntry("a", "p", Moved(None)), _policies(15)) is None
    assert settled_at(PolicyEntry("a", "p", Moved(10)), _policies(None)) is None
    assert settled_at(PolicyEntry("a", "p", Moved(10)), _policies(15, p=Stored("u", None, "spec"))) is None
    assert version_of("7a") is None


def test_labels_are_settled_by_their_namespace_alone() -> None:
    entry = LabelsEntry("a", Moved(10), {}, {})
    snapshot: Watched[str] = Watched({}, 99, {"a": StoredNamespace("u", 10, {})}, 20)
    assert settled_at(entry, snapshot) is None
    assert settled_at(entry, Watched({}, 1, {"a": StoredNamespace("u", 11, {})}, 20)) == 11
    assert settled_at(entry, Watched({}, 1, {}, 20)) == 20


def test_the_highest_mark_counts() -> None:
    data = {"mark.networkpolicies.70": "", "mark.networkpolicies.90": "", "mark.namespaces.8": ""}
    assert Contents.decode(data).marks == Marks(90, 8)


def test_a_mark_goes_only_with_the_write_of_a_higher_one() -> None:
    keys = ["mark.networkpolicies.70", "mark.networkpolicies.90"]
    assert raised({Resource.POLICIES: 80}, keys) == {}
    assert raised({Resource.POLICIES: 95}, keys) == {"mark.networkpolicies.95": "", **dict.fromkeys(keys)}


def test_marks_are_not_reached_by_versions_that_are_no_numbers() -> None:
    assert Marks(5, 5).are_reached(Watched({}, 5, {}, 5))
    assert not Marks(5, 5).are_reached(Watched({}, 5, {}, 4))
    assert not Marks().are_reached(Watched({}, None, {}, 4))
