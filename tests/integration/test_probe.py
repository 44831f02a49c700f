"""The nonce probe on one API server on loopback, where the peer is hidden as behind a mesh sidecar.

Peers that are seen are measured in `incluster/test_measured_sources.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest

from app.cluster.client.connection import ApiAnswer, ApiRequest, Connection, Method, configuration
from app.cluster.client.server import ClusterServer
from app.cluster.probe.prober import Prober
from app.cluster.probe.questions import PolicyQuestion
from app.cluster.probe.store import recall, remember
from app.cluster.state.live import LiveState
from app.deadline import Deadline
from app.engine.cluster import Provenance, Source
from app.errors import StateUnreadable
from app.model.measured_sources import Memory, Unknown
from app.model.measurement import CallerPlace, Coverage, Measurement, Observation, ObservedPlace, Reach
from app.model.sources_config_map import render_unknown
from tests.integration.conftest import MakeNamespace
from tests.integration.guard import Guard, running_guard
from tests.integration.guard import configuration as webhook_configuration
from tests.integration.live import live, read, with_state
from tests.kube.control_plane import ControlPlane
from tests.kube.webhook import register_webhook

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
API_SERVER = ip_address("10.20.0.10")


@pytest.fixture(scope="module")
def guard(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    """A guard called pod-1 on node-1, registered."""
    pod = {"name": "pod-1", "node": "node-1"}
    with (
        running_guard(control_plane, tmp_path_factory.mktemp("guard"), pod=pod) as running,
        register_webhook(control_plane, running.url, control_plane.ca_pem, webhook_configuration()),
    ):
        yield running


def prober(control_plane: ControlPlane, user: str = "admin") -> Prober:
    return Prober(configuration(control_plane.kubeconfig(user)))


def test_a_hidden_peer_is_told_with_the_pod_and_becomes_no_source(
    control_plane: ControlPlane,
    guard: Guard,  # noqa: ARG001 - it answers
    make_namespace: MakeNamespace,
) -> None:
    found = prober(control_plane).measure(PolicyQuestion(make_namespace()))
    (coverage,) = found.coverage
    assert (coverage.reach, coverage.pods, coverage.trouble) == (Reach.SHARED, ("pod-1",), "")
    assert coverage.probes == coverage.answers == coverage.hidden == 21
    assert found.sources == ()
    assert any("mesh sidecar, hides the caller" in note for note in found.notes)
    assert any(note.startswith("API server 192.0.2.1:") and "by itself" in note for note in found.notes)


def test_probing_leaves_no_policy_behind(
    control_plane: ControlPlane,
    guard: Guard,  # noqa: ARG001 - it answers
    make_namespace: MakeNamespace,
) -> None:
    namespace = make_namespace()
    prober(control_plane).measure(PolicyQuestion(namespace))
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
    assert json.loads(control_plane.client().request("GET", path).text)["items"] == []


def test_a_user_who_may_not_probe_is_told_the_rule_that_is_missing(
    control_plane: ControlPlane,
    guard: Guard,  # noqa: ARG001 - it answers
    make_namespace: MakeNamespace,
) -> None:
    namespace = make_namespace()
    with pytest.raises(StateUnreadable, match="developer may not use verb probe") as failed:
        prober(control_plane, "developer").measure(PolicyQuestion(namespace))
    assert failed.value.how == (
        'grant this rule: apiGroups: ["networking.k8s.io"], resources: ["networkpolicies"],'
        f' verbs: ["probe"] in namespace {namespace}'
    )


def test_a_user_who_may_not_create_policies_is_told_the_rule_that_is_missing(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    with pytest.raises(StateUnreadable, match="not permitted") as failed:
        prober(control_plane, "readonly").measure(PolicyQuestion(make_namespace()))
    assert 'verbs: ["create"]' in failed.value.how


def test_where_no_guard_is_called_the_message_says_what_to_look_at(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    with pytest.raises(StateUnreadable, match=r"none of 3 probes in namespace .* was answered") as failed:
        prober(control_plane).measure(PolicyQuestion(make_namespace(managed=False)))
    assert "failurePolicy Ignore" in failed.value.how


def test_a_namespace_that_does_not_exist_is_named(control_plane: ControlPlane) -> None:
    with pytest.raises(StateUnreadable, match='namespaces "no-such" not found'):
        prober(control_plane).measure(PolicyQuestion("no-such"))


def test_a_webhook_that_cannot_be_reached_is_told_in_the_api_servers_words(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace(managed=False)
    gone = {**webhook_configuration(), "metadata": {"name": "gone"}}
    for webhook in gone["webhooks"]:
        webhook["name"] = f"gone.{webhook['name']}"
        webhook["namespaceSelector"] = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies?dryRun=All"
    policy = {"metadata": {"name": "probe"}, "spec": {"podSelector": {}}}

    def is_called() -> bool:
        return not control_plane.client().request("POST", path, policy).ok

    url, ca_pem = "https://127.0.0.1:1", control_plane.ca_pem
    with (
        register_webhook(control_plane, url, ca_pem, gone, probe=is_called),
        pytest.raises(StateUnreadable, match="was answered") as failed,
    ):
        prober(control_plane).measure(PolicyQuestion(namespace))
    assert "failed calling webhook" in failed.value.why
    assert "connection refused" in failed.value.why


@pytest.mark.parametrize("user", ["admin", "developer", "readonly"])
def test_in_whose_name_something_was_measured_is_what_the_api_server_says(
    control_plane: ControlPlane, user: str
) -> None:
    api = Connection(configuration(control_plane.kubeconfig(user)))
    assert ClusterServer(api).user() == user


def measured(*addresses: str) -> Measurement:
    """Return a complete round."""
    found = (
        ObservedPlace(
            CallerPlace(ip_address(address)), (Observation(ip_address(address), "10.20.0.1:6443", "pod-1"),)
        )
        for address in addresses
    )
    return Measurement(tuple(found), (Coverage("10.20.0.1:6443", Reach.SINGLE, 21, 21),))


@pytest.fixture
def memory_namespace(make_namespace: MakeNamespace) -> str:
    """A namespace for the ConfigMap."""
    return make_namespace(managed=False)


def connection(control_plane: ControlPlane) -> Connection:
    return Connection(configuration(control_plane.kubeconfig()))


def test_what_is_remembered_is_recalled_and_measuring_again_keeps_the_first_time(
    control_plane: ControlPlane, memory_namespace: str
) -> None:
    api = connection(control_plane)
    assert recall(api, memory_namespace) is None
    first = remember(
        api, measured("10.20.0.10", "fd00::10"), by="admin", guard_namespace=memory_namespace, now=NOW
    )
    assert recall(api, memory_namespace) == first
    later = NOW + timedelta(days=2)
    again = remember(api, measured("10.20.0.10"), by="bea", guard_namespace=memory_namespace, now=later)
    assert [
        (str(source.place), source.first_seen, source.last_seen, source.by) for source in again.measured
    ] == [
        ("10.20.0.10", NOW, later, "bea"),
        ("fd00::10", NOW, NOW, "admin"),
    ]
    assert again.measured[1].unseen == (later,)
    assert again.rounds.completed == later
    assert recall(api, memory_namespace) == again


def test_what_expired_long_ago_is_forgotten_by_the_next_measurement(
    control_plane: ControlPlane, memory_namespace: str
) -> None:
    api = connection(control_plane)
    remember(api, measured("10.20.0.10"), by="a", guard_namespace=memory_namespace, now=NOW)

    def without_it(day: int) -> list[str]:
        now = NOW + timedelta(days=day)
        kept = remember(api, measured("10.20.0.11"), by="a", guard_namespace=memory_namespace, now=now)
        assert recall(api, memory_namespace) == kept
        return [str(source.place) for source in kept.measured]

    for day in range(1, 9):
        assert without_it(day) == ["10.20.0.10", "10.20.0.11"]
    assert without_it(60) == ["10.20.0.11"]


class Interrupted:
    """A connection on which somebody else is quicker, once, between reading and writing."""

    def __init__(self, api: Connection, meanwhile: Callable[[], object]) -> None:
        self._api = api
        self._meanwhile: Callable[[], object] | None = meanwhile

    def call(self, request: ApiRequest, deadline: Deadline) -> ApiAnswer:
        """Let the other one write before the first write."""
        if request.method is Method.APPLY and self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            meanwhile()
        return self._api.call(request, deadline)

    fetch, watch = Connection.fetch, Connection.watch


def test_of_two_replicas_that_make_a_round_at_the_same_moment_one_counts_and_both_are_heard(
    control_plane: ControlPlane, memory_namespace: str
) -> None:
    api = connection(control_plane)
    remember(api, measured("10.20.0.10"), by="a", guard_namespace=memory_namespace, now=NOW)
    tomorrow = NOW + timedelta(days=1)

    def round_of(api: Connection, peer: str) -> Memory:
        return remember(api, measured(peer), by=peer, guard_namespace=memory_namespace, now=tomorrow)

    interrupted = Interrupted(api, lambda: round_of(api, "10.20.0.11"))
    kept = round_of(interrupted, "10.20.0.12")  # type: ignore[arg-type]  # as much of one as is needed
    assert {str(source.place): source.unseen for source in kept.measured} == {
        "10.20.0.10": (tomorrow,),
        "10.20.0.11": (),
        "10.20.0.12": (),
    }
    assert recall(api, memory_namespace) == kept


def test_remembering_leaves_the_guards_own_notes_alone(
    control_plane: ControlPlane, memory_namespace: str
) -> None:
    api = connection(control_plane)
    remember(api, measured("10.20.0.10"), by="a", guard_namespace=memory_namespace, now=NOW)
    unknown = Unknown(ip_address("10.66.6.6"), NOW, NOW)
    noted = {"data": {"seen.10.20.0.10": "2026-11-28T12:00:00Z", **render_unknown(unknown)}}
    path = f"/api/v1/namespaces/{memory_namespace}/configmaps/netpol-guard-sources?fieldManager=netpol-guard"
    answer = control_plane.client().request("PATCH", path, noted, content_type="application/merge-patch+json")
    assert answer.ok, answer.text
    kept = remember(api, measured("10.20.0.11"), by="a", guard_namespace=memory_namespace, now=NOW)
    assert kept.unknown == (unknown,)
    assert kept.measured[0].last_seen == datetime(2026, 11, 28, 12, tzinfo=UTC)


def requires(control_plane: ControlPlane, memory_namespace: str, namespace: str) -> bool:
    """Tell whether the live state requires a measured source that only admin knows."""

    async def scenario(state: LiveState) -> bool:
        return any("by admin" in source.origin for source in (await read(state, namespace)).sources)

    return with_state(live(control_plane, guard_namespace=memory_namespace), scenario)


def test_the_live_state_follows_the_config_map(
    control_plane: ControlPlane, memory_namespace: str, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace()
    state = live(control_plane, guard_namespace=memory_namespace)

    async def scenario(_: object) -> list[Source]:
        assert await sources(namespace) == []
        api = connection(control_plane)
        remember(api, measured("10.20.0.10"), by="admin", guard_namespace=memory_namespace)
        while not (found := await sources(namespace)):
            pass
        return found

    async def sources(namespace: str) -> list[Source]:
        cluster = await read(state, namespace)
        return [source for source in cluster.sources if source.provenance is Provenance.MEASURED]

    (found,) = with_state(state, scenario)
    assert found.origin.startswith("a probe by admin on ")


def test_a_quiet_year_takes_nothing_from_the_live_state_and_eight_rounds_without_it_do(
    control_plane: ControlPlane, memory_namespace: str, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace()
    api, year_ago = connection(control_plane), datetime.now(UTC) - timedelta(days=365)

    def measure(peer: str, day: int, by: str = "the guard") -> None:
        now = year_ago + timedelta(days=day)
        remember(api, measured(peer), by=by, guard_namespace=memory_namespace, now=now)

    measure("10.20.0.10", 0, "admin")
    assert requires(control_plane, memory_namespace, namespace)
    for day in range(350, 357):
        measure("10.20.0.11", day)
    assert requires(control_plane, memory_namespace, namespace)
    measure("10.20.0.11", 357)
    assert not requires(control_plane, memory_namespace, namespace)
    measure("10.20.0.10", 357, "admin")
    assert requires(control_plane, memory_namespace, namespace)
