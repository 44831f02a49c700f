from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.addresses import Address, address_of, networks_of
from app.engine.cluster import Provenance
from app.model.measured_sources import Memory, Remembered, Rounds, Unknown, key_of
from app.model.measurement import CallerPlace
from app.model.sources_config_map import (
    ROUNDS_ANNOTATION,
    memory_of,
    read_memory,
    render_measured,
    render_rounds,
    render_unknown,
    seen_key,
    stamp,
)
from app.wire.errors import UnusableObject

THEN = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
AGENTS = CallerPlace(None, "kube-system", {"k8s-app": "konnectivity-agent"})


def address(text: str) -> Address:
    parsed = address_of(text)
    assert parsed is not None
    return parsed


def entry(**members: object) -> str:
    start = {"firstSeen": "2026-11-20T08:30:00Z", "lastSeen": "2026-11-25T12:00:00Z", "address": "10.20.0.10"}
    return json.dumps({**start, **members})


ONE = Remembered(
    CallerPlace(address("10.20.0.10")), THEN, NOW, "admin", ("10.99.0.1:6443",), ("netpol-guard-x",)
)


@pytest.mark.parametrize(
    "place", [CallerPlace(address("10.20.0.10")), CallerPlace(address("fd00::10")), AGENTS]
)
def test_what_is_written_is_read_back(place: CallerPlace) -> None:
    written = Remembered(place, THEN, NOW, "admin", ("10.99.0.1:6443",), ("netpol-guard-x", "netpol-guard-y"))
    assert read_memory(render_measured([written])) == Memory((written,))


@given(place=st.ip_addresses())
def test_every_key_is_one_that_a_config_map_takes(place: Address) -> None:
    assert re.fullmatch(r"[-._a-zA-Z0-9]+", key_of(CallerPlace(place)))
    assert re.fullmatch(r"[-._a-zA-Z0-9]+", render_unknown(Unknown(place, THEN, NOW)).popitem()[0])


def test_two_addresses_never_share_a_key() -> None:
    keys = {
        key_of(CallerPlace(address(found)))
        for found in ("1.2.3.4", "::1.2.3.4", "1::2", "1:2::", "::12", "::1:2")
    }
    assert len(keys) == 6


def test_the_entry_is_plain_text_that_an_admin_can_read() -> None:
    assert render_measured([ONE]) == {
        "10.20.0.10": '{"firstSeen":"2026-11-20T08:30:00Z","lastSeen":"2026-11-25T12:00:00Z",'
        '"address":"10.20.0.10","by":"admin","through":["10.99.0.1:6443"],"pods":["netpol-guard-x"]}'
    }


def test_the_rounds_that_did_not_see_a_place_are_read_back() -> None:
    unseen = tuple(NOW + timedelta(days=number) for number in (1, 2))
    written = replace(ONE, unseen=unseen)
    assert (
        '"unseen":["2026-11-26T12:00:00Z","2026-11-27T12:00:00Z"]' in render_measured([written])["10.20.0.10"]
    )
    assert read_memory(render_measured([written])) == Memory((written,))


def test_the_guards_own_note_of_a_sighting_makes_rounds_before_it_meaningless() -> None:
    unseen = tuple(NOW + timedelta(days=number) for number in (1, 2, 3))
    seen = NOW + timedelta(days=2)
    data = {**render_measured([replace(ONE, unseen=unseen)]), seen_key(ONE): stamp(seen)}
    (found,) = read_memory(data).measured
    assert (found.last_seen, found.unseen) == (seen, unseen[2:])


def test_the_last_complete_round_stands_in_an_annotation_that_is_read_back() -> None:
    rounds = Rounds(NOW, ("10.99.0.1:6443",), ("API server 10.99.0.2:6443 gave no answer",))
    annotations = render_rounds(rounds)
    assert annotations == {
        "netpol-guard.iomete.com/probe-rounds": '{"completed":"2026-11-25T12:00:00Z",'
        '"singly":["10.99.0.1:6443"],"gaps":["API server 10.99.0.2:6443 gave no answer"]}'
    }
    assert read_memory({}, annotations).rounds == rounds
    assert render_rounds(Rounds()) == {}


@pytest.mark.parametrize("text", ["nonsense", "[]", '{"completed": "yesterday"}', '{"singly": "all"}'])
def test_an_annotation_that_is_not_understood_is_a_note_and_costs_no_source(text: str) -> None:
    found = read_memory(render_measured([ONE]), {ROUNDS_ANNOTATION: text})
    assert (found.measured, found.rounds) == ((ONE,), Rounds())
    (note,) = found.notes
    assert note.startswith("ConfigMap netpol-guard-sources: annotation ")


def test_what_0_1_0_wrote_is_read_as_seen_then_and_not_expired_however_old() -> None:
    old = {"firstSeen": "2025-01-01T00:00:00Z", "lastSeen": "2025-01-02T00:00:00Z", "address": "10.20.0.10"}
    (found,) = read_memory({"10.20.0.10": json.dumps(old)}).measured
    assert found.unseen == ()
    assert not found.is_expired


def test_what_is_written_now_0_1_0_reads_too() -> None:
    """It reads these members of each key that does not begin with `seen.` or `unknown.`, no annotation."""

    class Entry(msgspec.Struct, rename="camel"):
        first_seen: datetime
        last_seen: datetime
        address: str = ""
        namespace: str = ""
        labels: dict[str, str] = {}
        by: str = ""
        through: tuple[str, ...] = ()
        pods: tuple[str, ...] = ()

    (text,) = render_measured([replace(ONE, unseen=(NOW,))]).values()
    read = msgspec.json.decode(text, type=Entry)
    assert (read.address, read.last_seen, read.by) == ("10.20.0.10", NOW, "admin")


def test_an_address_and_pods_become_measured_sources() -> None:
    source = ONE.source
    assert source.provenance is Provenance.MEASURED
    assert source.addresses is not None
    assert [str(found) for found in networks_of(source.addresses)] == ["10.20.0.10/32"]
    assert source.origin == "a probe by admin on 2026-11-20, asking 10.99.0.1:6443"
    pods = AGENTS.source("x").pods
    assert pods is not None
    assert pods.pods.matches({"k8s-app": "konnectivity-agent"})
    assert pods.namespaces.matches({"kubernetes.io/metadata.name": "kube-system"})


def test_the_guards_own_note_of_a_later_sighting_counts_and_an_earlier_one_does_not() -> None:
    data = render_measured([ONE])
    later = {**data, seen_key(ONE): stamp(NOW + timedelta(days=3))}
    assert read_memory(later).measured[0].last_seen == NOW + timedelta(days=3)
    earlier = {**data, seen_key(ONE): stamp(THEN)}
    assert read_memory(earlier).measured[0].last_seen == NOW


def test_a_note_about_what_is_not_remembered_is_an_orphan() -> None:
    assert read_memory({"seen.10.9.9.9": stamp(NOW)}).orphans == ("seen.10.9.9.9",)


def test_an_unknown_address_is_no_source() -> None:
    unknown = Unknown(address("fd00::9"), THEN, NOW)
    data = render_unknown(unknown)
    assert list(data) == ["unknown.fd00--9"]
    assert read_memory(data) == Memory(unknown=(unknown,))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "truncated"),
        ("nonsense", "malformed"),
        ("[]", "object"),
        ('{"address": "10.0.0.1"}', "firstSeen"),
        (entry(firstSeen="yesterday"), "RFC3339"),
        (entry(firstSeen="2026-11-20T08:30:00"), "timezone"),
        (entry(firstSeen="2026-11-26T00:00:00Z"), "firstSeen is after lastSeen"),
        (entry(address="10.0.0.0/8"), "is no address"),
        (entry(address="0.0.0.0"), "no call of an API server"),  # noqa: S104 - what must not be let in
        (entry(address="127.0.0.1"), "no call of an API server"),
        (entry(address="224.0.0.1"), "no call of an API server"),
        (entry(address=""), "either an address, or a namespace and labels"),
        (entry(namespace="kube-system", labels={"a": "b"}), "either an address, or a namespace and labels"),
        (entry(address="", namespace="kube-system"), "either an address, or a namespace and labels"),
        (entry(address="", labels={"a": "b"}), "either an address, or a namespace and labels"),
        (entry(labels=["a"]), "object"),
    ],
)
def test_a_bad_entry_is_skipped_with_a_note_and_the_others_count(text: str, why: str) -> None:
    found = read_memory({"bad": text, **render_measured([ONE])})
    assert found.measured == (ONE,)
    (note,) = found.notes
    assert note.startswith("ConfigMap netpol-guard-sources: entry bad is skipped: ")
    assert why in note


def test_a_bad_note_of_the_guard_does_not_cost_the_measured_entry() -> None:
    found = read_memory({**render_measured([ONE]), seen_key(ONE): "later"})
    assert found.measured == (ONE,)
    assert len(found.notes) == 1


def test_an_entry_that_claims_more_than_one_address_lets_in_none_of_them() -> None:
    assert read_memory({"10.0.0.1": entry(address="10.0.0.1,10.0.0.2")}).measured == ()


def test_of_too_many_entries_the_rest_is_not_read_and_a_note_says_so() -> None:
    data = {f"k{number:04}": entry(address=f"10.0.{number // 200}.{number % 200}") for number in range(300)}
    found = read_memory(data)
    assert len(found.measured) == 256
    assert found.notes == ("ConfigMap netpol-guard-sources: more than 256 entries; the rest is not read",)


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=40), max_size=6))
def test_nothing_in_it_makes_reading_fail(data: dict[str, str]) -> None:
    assert isinstance(read_memory(data), Memory)


def test_of_config_maps_only_that_of_its_name_is_read() -> None:
    rounds = Rounds(NOW)
    metadata = {"name": "netpol-guard-sources", "annotations": render_rounds(rounds)}
    named = {"metadata": metadata, "data": render_measured([ONE])}
    assert memory_of(named) == Memory((ONE,), rounds=rounds)
    assert memory_of({**named, "metadata": {"name": "other"}}) is None
    assert memory_of({"metadata": {"name": "netpol-guard-sources"}}) == Memory()
    with pytest.raises(UnusableObject):
        memory_of({**named, "data": ["x"]})
