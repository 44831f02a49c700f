"""Reads for one decision, straight from the API server.

A cache that lags would let two changes pass that are harmless alone and together are not
(``docs/design/decisions.md``, Changes that meet). What has not changed keeps its identity: verdicts are
remembered by it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from http import HTTPStatus

import msgspec

from app.cluster.client.connection import Api, ApiRequest
from app.cluster.client.errors import HttpRefusal, Purpose, nonsense
from app.cluster.client.listing import Collection, list_all
from app.cluster.state.resources import POLICIES
from app.deadline import Deadline
from app.engine.cluster import MANAGED_LABEL, MANAGED_VALUE
from app.engine.policy import Namespace, Policy
from app.model.kinds import NAMESPACE, NETWORK_POLICY
from app.wire.networkpolicy.parse import parse_stored
from app.wire.objects.namespaces import namespace_of
from app.wire.syntax import dns_label

FEW = 8
"""Namespaces that are read one by one, which needs no right to see the others' policies."""
_MANAGED = Collection(
    "the managed namespaces", NAMESPACE, selectors={"labelSelector": f"{MANAGED_LABEL}={MANAGED_VALUE}"}
)
_REMEMBERED_NAMESPACES = 5_000


class _Version(msgspec.Struct, rename="camel", frozen=True):
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class _Object(msgspec.Struct):
    metadata: _Version


_decode_object = msgspec.json.Decoder(_Object).decode


class PolicyMemory:
    """The policies of each namespace as last read, so that an unchanged object stays the same object.

    An object is unchanged while uid and resourceVersion are. Bounded: the namespaces that nobody asked for in
    the longest time are forgotten. Safe for threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, dict[_Version, Policy]] = OrderedDict()
        self._tuples: dict[str, tuple[Policy, ...]] = {}

    def take(self, namespace: str, items: Iterable[msgspec.Raw]) -> tuple[Policy, ...]:
        """Return the policies that ``items`` are; the very tuple of the last time if all are unchanged.

        Raises ``ValueError`` for an object that is no NetworkPolicy.
        """
        with self._lock:
            known = self._known.get(namespace, {})
            versions = ((_decode_object(raw).metadata, raw) for raw in items)
            now = {version: known.get(version) or _parse(raw, namespace) for version, raw in versions}
            self._known[namespace] = now
            self._known.move_to_end(namespace)
            old, new = self._tuples.get(namespace), tuple(now.values())
            if old is None or len(old) != len(new) or any(a is not b for a, b in zip(old, new, strict=True)):
                self._tuples[namespace] = old = new
            while len(self._known) > _REMEMBERED_NAMESPACES:
                forgotten, _ = self._known.popitem(last=False)
                del self._tuples[forgotten]
            return old


def _parse(raw: msgspec.Raw, namespace: str) -> Policy:
    parsed = parse_stored(raw, namespace=namespace)
    if parsed.policy is None:
        raise ValueError(f"NetworkPolicy {parsed.metadata.name!r}: {'; '.join(map(str, parsed.errors))}")
    return parsed.policy


class FreshReads:
    """What the API server says now. All methods block, and raise ``StateUnreadable``."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._memory = PolicyMemory()

    def policies(self, namespace: str, deadline: Deadline) -> tuple[Policy, ...]:
        """Return the namespace's policies; none where there is no such namespace."""
        if dns_label(namespace):  # there can be no such namespace: what is asked for becomes a part of a path
            return ()
        collection = Collection(f"the NetworkPolicies of namespace {namespace}", NETWORK_POLICY, namespace)
        listed = list_all(self._api, collection, deadline)
        try:
            return self._memory.take(namespace, listed.items)
        except (ValueError, UnicodeDecodeError) as error:
            raise nonsense(collection.purpose("list"), str(error)) from error

    def policies_of(self, namespaces: Iterable[str], deadline: Deadline) -> dict[str, tuple[Policy, ...]]:
        """Return the policies of each of ``namespaces``, by one list of the whole cluster."""
        placed: dict[str, list[msgspec.Raw]] = {name: [] for name in namespaces}
        listed = list_all(self._api, POLICIES, deadline)
        try:
            for raw in listed.items:
                items = placed.get(_decode_object(raw).metadata.namespace)
                if items is not None:
                    items.append(raw)
            return {name: self._memory.take(name, items) for name, items in placed.items()}
        except (ValueError, UnicodeDecodeError) as error:
            raise nonsense(POLICIES.purpose("list"), str(error)) from error

    def namespace(self, name: str, deadline: Deadline) -> Namespace | None:
        """Return the namespace, or None where there is none of that name."""
        if dns_label(name):  # as above
            return None
        purpose = Purpose(f"namespace {name}", "get", "", "namespaces")
        try:
            body = self._api.fetch(ApiRequest(purpose, NAMESPACE.path(name=name)), deadline)
            return namespace_of(body).namespace
        except HttpRefusal as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def managed(self, deadline: Deadline) -> tuple[Namespace, ...]:
        """Return the managed namespaces."""
        listed = list_all(self._api, _MANAGED, deadline)
        return tuple(namespace_of(item).namespace for item in listed.items)
