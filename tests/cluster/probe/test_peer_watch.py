"""What is noted of where reviews come from while the guard works."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.cluster.client.connection import ApiAnswer, ApiRequest, Method
from app.cluster.client.errors import refusal
from app.cluster.probe.peer_watch import PeerWatch, changes
from app.cluster.state.facts import Known
from app.deadline import Deadline
from app.engine.addresses import Address, address_of
from app.engine.cluster import Provenance
from app.model.declared_sources import declared_source
from app.model.measured_sources import Memory, Remembered, Unknown
from app.model.measurement import CallerPlace
from tests.cluster.fake_api import FakeApi

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
HOUR, WEEK = timedelta(hours=1), timedelta(days=7)


def address(text: str) -> Address:
    parsed = address_of(text)
    assert parsed is not None
    return parsed


API_SERVER, AGENT, STRANGER = address("10.20.0.10"), address("10.244.1.7"), address("10.66.6.6")
MEASURED = Remembered(CallerPlace(API_SERVER), NOW - WEEK, NOW - HOUR)
AGENTS = Remembered(CallerPlace(None, "kube-system", {"app": "konnectivity-agent"}), NOW - WEEK, NOW - HOUR)


def known(*measured: Remembered, **more: object) -> Known:
    memory = replace(Memory(measured), **more)  # type: ignore[arg-type]  # tests name the members of Memory
    return Known(tuple(found.source for found in measured), memory, frozenset({AGENT}))


def test_a_measured_address_that_a_review_came_from_is_noted_as_seen() -> None:
    assert changes({API_SERVER}, known(MEASURED), NOW) == {"seen.10.20.0.10": "2026-11-25T12:00:00Z"}


def test_it_is_noted_at_most_once_an_hour() -> None:
    assert changes({API_SERVER}, known(MEASURED), NOW - timedelta(seconds=1)) == {}


def test_without_a_review_nothing_is_noted() -> None:
    assert changes(set(), known(MEASURED), NOW + WEEK) == {}


def test_pods_that_calls_come_through_are_seen_by_their_addresses() -> None:
    assert changes({AGENT}, known(MEASURED, AGENTS), NOW) == {
        "seen.pods.kube-system.app.konnectivity-agent": "2026-11-25T12:00:00Z"
    }


def test_an_address_that_no_source_covers_is_noted_as_unknown_and_never_as_measured() -> None:
    assert changes({STRANGER}, known(MEASURED), NOW) == {
        "unknown.10.66.6.6": '{"firstSeen":"2026-11-25T12:00:00Z","lastSeen":"2026-11-25T12:00:00Z",'
        '"address":"10.66.6.6"}'
    }


def test_a_peer_inside_a_declared_network_is_known() -> None:
    inside = Known((declared_source("10.66.0.0/16"),))
    assert inside.sources[0].provenance is Provenance.DECLARED
    assert changes({STRANGER}, inside, NOW) == {}


def test_an_unknown_address_is_noted_again_after_an_hour_with_its_first_time() -> None:
    state = known(MEASURED, unknown=(Unknown(STRANGER, NOW - WEEK, NOW - HOUR),))
    entry = json.loads(changes({STRANGER}, state, NOW)["unknown.10.66.6.6"] or "")
    assert (entry["firstSeen"], entry["lastSeen"]) == ("2026-11-18T12:00:00Z", "2026-11-25T12:00:00Z")
    recent = known(MEASURED, unknown=(Unknown(STRANGER, NOW - WEEK, NOW),))
    assert changes({STRANGER}, recent, NOW) == {}


def test_whoever_sends_from_many_addresses_cannot_make_the_config_map_grow() -> None:
    crowd = {address(f"fd00::{number:x}") for number in range(500)}
    first = changes(crowd, known(MEASURED), NOW)
    assert len(first) == 8
    noted = tuple(Unknown(address(f"fd00::{number:x}"), NOW, NOW) for number in range(8))
    assert changes(crowd, known(MEASURED, unknown=noted), NOW) == {}


def test_notes_are_taken_away_once_they_are_known_or_old_or_about_nothing() -> None:
    state = known(
        MEASURED,
        unknown=(
            Unknown(API_SERVER, NOW, NOW),
            Unknown(STRANGER, NOW - 2 * WEEK, NOW - WEEK - HOUR),
            Unknown(address("10.66.6.7"), NOW - 2 * WEEK, NOW - WEEK),
        ),
        orphans=("seen.10.1.1.1",),
    )
    assert changes(set(), state, NOW) == {
        "seen.10.1.1.1": None,
        "unknown.10.20.0.10": None,
        "unknown.10.66.6.6": None,
    }


class WritableApi(FakeApi):
    """Takes writes, or refuses them."""

    def __init__(self, status: int = 200) -> None:
        super().__init__(b"{}")
        self.status = status

    def call(self, request: ApiRequest, deadline: Deadline) -> ApiAnswer:  # noqa: ARG002 - the interface
        self.requests.append(request)
        if self.status != 200:
            raise refusal(self.status, b'{"message": "no"}', request.purpose)
        return ApiAnswer(b"{}")


class Knows:
    """Knows what it was told."""

    def __init__(self, state: Known | None) -> None:
        self.state = state

    def known(self) -> Known | None:
        return self.state


def watched(api: WritableApi, *rounds: tuple[str, ...]) -> PeerWatch:
    watch = PeerWatch(Knows(known(MEASURED)), api, "guards")
    for index, peers in enumerate(rounds):
        for peer in peers:
            watch.saw(peer)
        asyncio.run(watch._look(NOW + index * timedelta(minutes=1)))
    return watch


def test_all_that_changes_is_one_small_merge_patch_of_the_config_map_in_the_guards_namespace() -> None:
    api = WritableApi()
    watched(api, ("10.20.0.10", "::ffff:10.20.0.10", "10.66.6.6"))
    (request,) = api.requests
    assert request.method is Method.MERGE
    assert request.path == "/api/v1/namespaces/guards/configmaps/netpol-guard-sources"
    assert set(json.loads(request.body or b"")["data"]) == {"seen.10.20.0.10", "unknown.10.66.6.6"}


def test_nothing_is_sent_where_nothing_changes() -> None:
    api = WritableApi()
    watched(api, (), ("127.0.0.1", "::1", "", "nonsense"))
    assert api.requests == []


def test_an_unknown_address_is_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        watch = watched(WritableApi(), ("10.66.6.6",), ("10.66.6.6", "10.20.0.10"), ("10.66.6.6",))
    assert len([record for record in caplog.records if "no known source" in record.getMessage()]) == 1
    assert watch.unknown() == 1


def test_it_is_not_counted_any_more_once_a_source_covers_it() -> None:
    watch = watched(WritableApi(), ("10.66.6.6",))
    assert isinstance(watch._knower, Knows)
    watch._knower.state = Known((declared_source("10.66.6.6"),))
    asyncio.run(watch._look(NOW))
    assert watch.unknown() == 0


def test_a_refused_write_is_logged_once_and_does_not_end_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        api = WritableApi(403)
        watched(api, ("10.20.0.10",), ("10.20.0.10",))
    assert len(api.requests) == 2
    assert len([record for record in caplog.records if "could not be noted" in record.getMessage()]) == 1


def test_before_the_first_sync_nobody_is_unknown() -> None:
    watch = PeerWatch(Knows(None), WritableApi(), "guards")
    watch.saw("10.66.6.6")
    asyncio.run(watch._look(NOW))
    assert watch.unknown() == 0


def test_more_peers_than_anybody_needs_are_not_held() -> None:
    watch = PeerWatch(Knows(Known()), WritableApi(), "guards")
    for number in range(5000):
        watch.saw(f"fd00::{number:x}")
    assert len(watch._peers) == 1024
