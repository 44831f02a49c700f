from __future__ import annotations

import pytest

from app.engine.cluster import TargetPort
from app.engine.ports import Protocol
from app.model.seen_services import (
    LONGEST_ENTRY,
    MOST_ENTRIES,
    SeenService,
    SeenServices,
    read_seen,
    render_seen,
    seen_services_of,
)
from app.wire.objects.webhooks import WebhookClient

KEY = ("iomete-system", "hook")
CLIENT = WebhookClient("MutatingWebhookConfiguration/hook", "hook.example.test", *KEY, port=8443)
PORTS = {
    443: TargetPort(Protocol.TCP, number=9443),
    8443: TargetPort(Protocol.TCP, name="serving", resolved=frozenset({9444, 9445})),
}
SEEN = SeenService(KEY, {"app": "hook"}, PORTS, (CLIENT,))


def test_what_is_written_is_read_again() -> None:
    data = render_seen([SEEN])
    assert data.keys() == {"iomete-system.hook"}
    assert read_seen({"format": "1", **data}, "7") == SeenServices({KEY: SEEN}, "7")


def test_it_is_read_from_its_config_map_alone() -> None:
    metadata = {"name": "netpol-guard-webhook-services", "resourceVersion": "7"}
    assert seen_services_of({"metadata": metadata}) == SeenServices(version="7")
    assert seen_services_of({"metadata": {"name": "other"}, "data": render_seen([SEEN])}) is None


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("no-service", "{}"),
        (".hook", "{}"),
        ("iomete-system.hook", "no JSON"),
        ("iomete-system.hook", '{"selector": {"a": "b"}}'),
        ("iomete-system.hook", '{"selector": {}, "ports": [{"port": 1, "target": 2}], "clients": []}'),
        ("iomete-system.hook", '{"selector": {"a": "b"}, "ports": [], "clients": []}'),
    ],
)
def test_an_entry_that_is_not_understood_is_skipped_with_a_note(key: str, text: str) -> None:
    found = read_seen({key: text})
    assert found.services == {}
    assert found.notes[0].startswith(f"ConfigMap netpol-guard-webhook-services: entry {key} is skipped: ")


def test_another_format_is_neither_read_nor_to_be_written_over() -> None:
    found = read_seen({"format": "2", **render_seen([SEEN])})
    assert found.services == {}
    assert found.problem == "it has format '2', and this version knows '1' alone"


def test_what_is_written_is_bounded() -> None:
    long = SeenService(("a", "long"), {"app": "x" * LONGEST_ENTRY}, PORTS, (CLIENT,))
    many = [SeenService(("b", f"s{number}"), {"a": "b"}, PORTS, ()) for number in range(MOST_ENTRIES + 1)]
    assert len(render_seen([long, *many])) == MOST_ENTRIES
    assert "a.long" not in render_seen([long])
