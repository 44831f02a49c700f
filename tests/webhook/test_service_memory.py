from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest

from app.cluster.client.connection import ApiAnswer, ApiRequest
from app.cluster.client.errors import refusal
from app.deadline import Deadline
from app.engine.cluster import Cluster, TargetPort
from app.engine.ports import Protocol
from app.metrics import Metrics
from app.model.seen_services import Seen, SeenService, SeenServices, read_seen, render_seen
from app.webhook.service_memory import ServiceMemory, changes

KEY, OTHER = ("iomete-system", "hook"), ("iomete-system", "other")
SEEN, CHANGED, ELSE = (
    SeenService(key, {"app": app}, {443: TargetPort(Protocol.TCP, number=9443)}, ())
    for key, app in ((KEY, "hook"), (KEY, "changed"), (OTHER, "other"))
)


def kept(*services: SeenService, **more: str) -> SeenServices:
    return read_seen({"format": "1", **render_seen(services), **more}, "7")


@pytest.mark.parametrize(
    ("before", "now", "written"),
    [
        (kept(SEEN), {KEY: SEEN}, {}),
        (kept(), {KEY: SEEN}, render_seen([SEEN])),
        (kept(SEEN), {KEY: CHANGED}, render_seen([CHANGED])),
        (kept(SEEN, ELSE), {OTHER: ELSE}, {"iomete-system.hook": None}),
        (kept(**{"of.tomorrow": "?"}), {}, {}),
    ],
    ids=["the same", "seen", "changed", "over", "not understood"],
)
def test_what_is_written_is_what_differs(
    before: SeenServices, now: Seen, written: Mapping[str, str | None]
) -> None:
    assert changes(before, now) == written


class World:
    """Watches and an API server; ``status`` is what writes are refused with, 0 for none."""

    def __init__(self, before: SeenServices | None, status: int = 0) -> None:
        self.before, self.status = before, status
        self.written: list[dict[str, object]] = []

    def ready(self) -> str | None:
        return None

    def facts(self) -> Cluster:
        return Cluster()

    def seen_services(self) -> tuple[SeenServices | None, Seen]:
        return self.before, {KEY: SEEN}

    def call(self, request: ApiRequest, deadline: Deadline) -> ApiAnswer:  # noqa: ARG002 - the interface
        if self.status:
            raise refusal(self.status, b"", request.purpose)
        self.written.append(json.loads(request.body or b""))
        return ApiAnswer(b"{}", ())

    def fetch(self, request: ApiRequest, deadline: Deadline) -> bytes:
        raise NotImplementedError

    def watch(self, request: ApiRequest, seconds: float) -> object:
        raise NotImplementedError


def looked(cluster: World) -> bytes:
    """Have the memory look once; return the metrics then."""
    metrics = Metrics()
    asyncio.run(ServiceMemory(cluster, cluster, "netpol-guard", metrics)._look())  # type: ignore[arg-type]
    return metrics.render()[0]


KEPT, NOT_KEPT = b"netpol_guard_webhook_services_kept 1.0", b"netpol_guard_webhook_services_kept 0.0"


def test_it_is_written_on_condition_that_nobody_wrote_meanwhile() -> None:
    cluster = World(kept())
    assert KEPT in looked(cluster)
    data = {"format": "1", **render_seen([SEEN])}
    assert cluster.written == [{"metadata": {"resourceVersion": "7"}, "data": data}]


def test_a_conflict_is_no_failure_for_the_next_look_knows_more() -> None:
    assert KEPT in looked(World(kept(), 409))


@pytest.mark.parametrize(
    ("before", "status"),
    [(None, 0), (kept(), 403), (kept(), 500), (kept(format="2"), 0)],
    ids=["no ConfigMap", "no right", "failing", "another format"],
)
def test_where_it_cannot_be_written_the_log_and_the_metric_say_so(
    before: SeenServices | None, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = World(before, status)
    assert NOT_KEPT in looked(cluster)
    assert "what webhook Services were is not kept across restarts" in caplog.text
    assert cluster.written == []


def test_nothing_is_written_where_all_is_said() -> None:
    cluster = World(kept(SEEN))
    assert KEPT in looked(cluster)
    assert cluster.written == []
