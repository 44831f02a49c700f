"""The ends of a flow as they stand on a command line, and the pods that they name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

from app.engine.addresses import place_of
from app.engine.ports import LAST_PORT, Protocol, position
from app.errors import InputError
from app.explain.flow import End
from app.wire.errors import UnusableObject
from app.wire.objects.pods import PodFacts, pod_facts
from app.wire.syntax import dns_label, dns_subdomain, label_key, label_value
from app.wire.text.documents import Document

_HOST_NETWORK = "no NetworkPolicy reaches it, and others see the node's address"

FindPod = Callable[[str, str], PodFacts | None]
"""Namespace and name -> the pod, None where there is none."""


@dataclass(frozen=True, slots=True)
class WantedEnd:
    """An end as somebody wrote it: an address, a pod by name, or any pod with some labels."""

    option: str
    text: str
    address: int | None = None
    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    pod: str = ""


@dataclass(frozen=True, slots=True)
class FoundEnd:
    """An end, and the pod that it is where it was given by name; ``notes`` say what is special about it."""

    end: End
    pod: PodFacts | None = None
    notes: tuple[str, ...] = ()


def parse_end(option: str, text: str) -> WantedEnd:
    """Return what ``text`` names: an address, a namespace, ``namespace/pod``, ``namespace/key=value,...``.

    Raises ``InputError``.
    """
    try:
        return WantedEnd(option, text, address=place_of(ip_address(text)))
    except ValueError:
        pass
    namespace, slash, rest = text.partition("/")
    pairs = [pair.partition("=") for pair in rest.split(",")] if "=" in rest else []
    labels = {key: value for key, _, value in pairs}
    is_pod = bool(slash) and not pairs
    if (
        dns_label(namespace)
        or (is_pod and dns_subdomain(rest))
        or not all(sign for _, sign, _ in pairs)
        or any(label_key(key) or label_value(value) for key, value in labels.items())
    ):
        raise InputError(option, f"{text!r} is no address, namespace/pod, or namespace/key=value,key=value")
    return WantedEnd(option, text, namespace=namespace, labels=labels, pod=rest if is_pod else "")


def find_end(wanted: WantedEnd, find_pod: FindPod) -> FoundEnd:
    """Return the end that is wanted. Raises ``InputError`` where there is no such pod."""
    if wanted.namespace is None:
        return FoundEnd(End(address=wanted.address))
    if not wanted.pod:
        return FoundEnd(End(wanted.namespace, wanted.labels))
    pod = find_pod(wanted.namespace, wanted.pod)
    if pod is None:
        hint = f"give its labels instead: {wanted.namespace}/key=value,..."
        raise InputError(wanted.option, f"there is no pod {wanted.text} in the state; {hint}")
    address = place_of(pod.addresses[0]) if pod.addresses else None
    end = End(wanted.namespace, pod.labels, address, is_host_network=pod.is_host_network)
    note = f"{wanted.text} uses its node's network: {_HOST_NETWORK}"
    return FoundEnd(end, pod, (note,) if pod.is_host_network else ())


def pods_of(documents: Iterable[Document]) -> FindPod:
    """Return a search among the Pods of ``documents``. Raises ``UnusableObject``."""
    pods = (document for document in documents if (document.api_version, document.kind) == ("v1", "Pod"))
    known = {(pod.namespace, pod.name): pod for pod in map(_pod, pods)}
    return lambda namespace, name: known.get((namespace, name))


def _pod(document: Document) -> PodFacts:
    try:
        return pod_facts(document.object)
    except UnusableObject as error:
        line, column = document.place("metadata")
        raise InputError(f"{document.origin}:{line}:{column}", str(error)) from error


@dataclass(frozen=True, slots=True)
class FlowPort:
    """A port of the destination: its place on the axis, and what the pod calls it."""

    protocol: Protocol
    number: int
    names: frozenset[str] = frozenset()

    @property
    def place(self) -> int:
        """The place on the axis of ports."""
        return position(self.protocol, self.number)

    def __str__(self) -> str:
        names = f" ({', '.join(sorted(self.names))})" if self.names else ""
        return f"{self.protocol.value} {self.number}{names}"


def parse_port(text: str, pod: PodFacts | None) -> FlowPort:
    """Return what ``text`` names: ``443``, ``53/UDP``, ``8080/TCP/http``, or a port name of ``pod``.

    Raises ``InputError``.
    """
    first, _, rest = text.partition("/")
    spelled, _, name = rest.partition("/")
    try:
        protocol = Protocol((spelled or "TCP").upper())
    except ValueError:
        raise InputError("--port", f"{spelled!r} is no protocol: TCP, UDP or SCTP") from None
    if first.isdecimal() and first.isascii() and len(first) <= len(str(LAST_PORT)):
        return _numbered(int(first), protocol, name, pod)
    return _named(first, protocol if spelled else None, pod)


def _numbered(number: int, protocol: Protocol, name: str, pod: PodFacts | None) -> FlowPort:
    if not 1 <= number <= LAST_PORT:
        raise InputError("--port", f"{number} is no port: 1 to {LAST_PORT}")
    known = () if pod is None else pod.ports
    names = {port.name for port in known if (port.protocol, port.number) == (protocol, number)}
    return FlowPort(protocol, number, frozenset({name} if name else names))


def _named(name: str, protocol: Protocol | None, pod: PodFacts | None) -> FlowPort:
    if pod is None:
        why = "is a name, which only a pod given by name can resolve"
        raise InputError("--port", f"{name!r} {why}: write 8080/TCP/{name}")
    for port in pod.ports:
        if port.name == name and protocol in (None, port.protocol):
            return FlowPort(port.protocol, port.number, frozenset({name}))
    known = ", ".join(sorted({port.name for port in pod.ports})) or "none"
    raise InputError("--port", f"pod {pod.name} names no port {name!r}; its port names: {known}")
