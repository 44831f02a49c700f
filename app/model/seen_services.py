"""The ConfigMap in which the guard keeps what the Services of webhooks were, for when one is missing.

One key a Service, ``<namespace>.<its name>``, and ``format``. Every replica writes what its own watches show.
Reading forgives: an entry that is not understood is skipped, with a note, and left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from app.engine.cluster import TargetPort
from app.engine.ports import Protocol
from app.names import WEBHOOK_SERVICES_CONFIG_MAP
from app.wire.objects.read import RawObject, read_object
from app.wire.objects.services import ServiceKey
from app.wire.objects.webhooks import WebhookClient
from app.wire.objects.workloads import KeyedData

FORMAT_KEY, FORMAT = "format", "1"
MOST_ENTRIES, LONGEST_ENTRY = 128, 4_096
"""Services that are kept, and characters of one: the ConfigMap stays below half a megabyte."""


class _Port(msgspec.Struct, rename="camel", omit_defaults=True):
    port: int
    target: int | str
    resolved: list[int] = []


class _Client(msgspec.Struct):
    configuration: str
    webhook: str
    port: int


class _Entry(msgspec.Struct):
    selector: dict[str, str]
    ports: list[_Port]
    clients: list[_Client]


_decode_entry = msgspec.json.Decoder(_Entry).decode


@dataclass(frozen=True, slots=True)
class SeenService:
    """A Service at which webhooks are served, as it was seen last: its pods, its TCP ports, who named it."""

    key: ServiceKey
    selector: Mapping[str, str]
    ports: Mapping[int, TargetPort]
    clients: tuple[WebhookClient, ...]


Seen = Mapping[ServiceKey, SeenService]


@dataclass(frozen=True, slots=True)
class SeenServices:
    """All that the ConfigMap says, as of ``version``; ``problem`` is why it must not be written to."""

    services: Seen = field(default_factory=dict)
    version: str = ""
    problem: str | None = None
    notes: tuple[str, ...] = ()


NOTHING_SEEN = SeenServices()


def seen_services_of(source: RawObject) -> SeenServices | None:
    """Return what a ConfigMap says, None where it is another than ``WEBHOOK_SERVICES_CONFIG_MAP``.

    Raises ``UnusableObject`` where the object is no ConfigMap.
    """
    read = read_object(source, KeyedData, "ConfigMap")
    if read.metadata.name != WEBHOOK_SERVICES_CONFIG_MAP:
        return None
    return read_seen(read.data or {}, read.metadata.resource_version)


def read_seen(data: Mapping[str, str], version: str = "") -> SeenServices:
    """Return what the data of the ConfigMap says. Never raises."""
    form = data.get(FORMAT_KEY, FORMAT)
    if form != FORMAT:
        why = f"it has format {form!r}, and this version knows {FORMAT!r} alone"
        return SeenServices(version=version, problem=why, notes=(_noted(f"is not read: {why}"),))
    services: dict[ServiceKey, SeenService] = {}
    notes: list[str] = []
    for key, text in sorted(data.items()):
        if key == FORMAT_KEY:
            continue
        try:
            found = _read(key, text)
        except (ValueError, msgspec.MsgspecError) as error:
            notes.append(_noted(f"entry {key} is skipped: {error}"))
        else:
            services[found.key] = found
    return SeenServices(services, version, notes=tuple(notes))


def _noted(what: str) -> str:
    return f"ConfigMap {WEBHOOK_SERVICES_CONFIG_MAP}: {what}"


def _read(key: str, text: str) -> SeenService:
    namespace, dot, name = key.partition(".")
    if not (namespace and dot and name):
        raise ValueError("its key is no namespace with a Service")
    entry = _decode_entry(text)
    ports = {port.port: _target(port) for port in entry.ports}
    if not entry.selector or not ports:
        raise ValueError("it needs a selector and ports")
    clients = tuple(
        WebhookClient(client.configuration, client.webhook, namespace, name, client.port)
        for client in entry.clients
    )
    return SeenService((namespace, name), entry.selector, ports, clients)


def _target(port: _Port) -> TargetPort:
    if isinstance(port.target, int):
        return TargetPort(Protocol.TCP, number=port.target)
    return TargetPort(Protocol.TCP, name=port.target, resolved=frozenset(port.resolved))


def key_of(key: ServiceKey) -> str:
    """Return the key of a Service's entry; neither of its parts can hold a dot.

    >>> key_of(("iomete-system", "spark-operator-webhook"))
    'iomete-system.spark-operator-webhook'
    """
    return ".".join(key)


def render_seen(services: Iterable[SeenService]) -> dict[str, str]:
    """Return the entries of Services; those that are too long, or too many, are left out."""
    made = {key_of(seen.key): _rendered(seen) for seen in sorted(services, key=lambda seen: seen.key)}
    fitting = [(key, text) for key, text in made.items() if len(text) <= LONGEST_ENTRY]
    return dict(fitting[:MOST_ENTRIES])


def _rendered(seen: SeenService) -> str:
    ports = [
        _Port(port, target.name or target.number or port, sorted(target.resolved))
        for port, target in sorted(seen.ports.items())
    ]
    clients = [_Client(client.configuration, client.webhook, client.port) for client in seen.clients]
    return msgspec.json.encode(_Entry(dict(seen.selector), ports, clients), order="sorted").decode()
