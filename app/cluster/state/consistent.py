"""What reviews ask the API server for on the event loop: consistent lists, and the ledger's ConfigMap."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection as Names
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus

import msgspec
from msgspec import Raw

from app.cluster.client.connection import ApiRequest, AsyncApi, Method
from app.cluster.client.errors import HttpRefusal, Purpose, nonsense
from app.cluster.client.listing import Collection, Listed, list_all_async
from app.cluster.client.sharing import SharedReads
from app.cluster.state.resources import NAMESPACES, POLICIES
from app.cluster.state.watched import namespaces_in, policies_in
from app.deadline import REVIEW_TIME, Deadline
from app.engine.policy import Policy
from app.model.kinds import CONFIG_MAP, NAMESPACE, NETWORK_POLICY, Kind
from app.model.snapshot import Policies, Resource, StoredNamespace, Version, version_of
from app.names import DOMAIN, LEDGER_CONFIG_MAP, NAME
from app.wire.objects.workloads import KeyedData

_SECONDS = 10.0
"""A bound for what no review waits for."""
_OF_CLUSTER: Mapping[Kind, Collection] = {NETWORK_POLICY: POLICIES, NAMESPACE: NAMESPACES}
FEW = 8
"""Namespaces whose policies are listed one by one instead of with all others'."""
TOUCHED_ANNOTATION = f"{DOMAIN}/seen-until"
"""What is written to make an event: its value says nothing."""


_decode = msgspec.json.Decoder(KeyedData).decode


def _deadline() -> Deadline:
    """Return by when the review under way has to have read what it needs; others have a bound."""
    time = REVIEW_TIME.get(None)
    return Deadline.after(_SECONDS) if time is None else time.reading


@contextmanager
def _reading() -> Iterator[Deadline]:
    """Let the review under way wait, until this deadline at most."""
    time = REVIEW_TIME.get(None)
    if time is None:
        yield _deadline()
        return
    with time.waiting():
        yield time.reading


def _words(namespace: str) -> str:
    return f"the NetworkPolicies of namespace {namespace}"


class ConsistentReads:
    """Lists as they are now, shared by the reviews that wait for them, and writes that make an event.

    All raise ``StateUnreadable``.
    """

    def __init__(self, api: AsyncApi, guard_namespace: str) -> None:
        """Nothing is sent yet."""
        self._api = api
        self._guard_namespace = guard_namespace
        self._of_namespace = SharedReads(self._read_policies, _words)
        self._of_cluster = SharedReads(self._read_all, lambda kind: _OF_CLUSTER[kind].words)

    async def policies(self, namespaces: Names[str]) -> tuple[Mapping[str, Policies[Policy]], Version]:
        """Return the policies of some namespaces by name, with the version of the (oldest) list."""
        with _reading() as deadline:
            if len(namespaces) > FEW:
                listed = await self._of_cluster.get(NETWORK_POLICY, deadline)
                return policies_in(listed, frozenset(namespaces)), version_of(listed.resource_version)
            reads = await asyncio.gather(*(self._of_namespace.get(name, deadline) for name in namespaces))
        found: dict[str, Policies[Policy]] = {}
        for policies, _ in reads:
            found |= policies
        known = [version for _, version in reads if version is not None]
        return found, min(known) if known and len(known) == len(reads) else None

    async def namespaces(self) -> tuple[Mapping[str, StoredNamespace], Version]:
        """Return all namespaces by name, with the version of the list."""
        with _reading() as deadline:
            listed = await self._of_cluster.get(NAMESPACE, deadline)
        return namespaces_in(listed.items), version_of(listed.resource_version)

    async def _read_policies(
        self, namespace: str, deadline: Deadline
    ) -> tuple[Mapping[str, Policies[Policy]], Version]:
        collection = Collection(_words(namespace), NETWORK_POLICY, namespace)
        listed = await list_all_async(self._api, collection, deadline)
        return policies_in(listed, frozenset({namespace})), version_of(listed.resource_version)

    async def _read_all(self, kind: Kind, deadline: Deadline) -> Listed[Raw]:
        return await list_all_async(self._api, _OF_CLUSTER[kind], deadline)

    async def touch(self, resource: Resource) -> int:
        """Write an annotation on the guard's own NetworkPolicy or Namespace; return its new version."""
        own = (NETWORK_POLICY, self._guard_namespace, NAME)
        kind, namespace, name = (
            own if resource is Resource.POLICIES else (NAMESPACE, "", self._guard_namespace)
        )
        purpose = Purpose(f"the guard's own {kind.name}", "patch", kind.group, kind.resource, namespace)
        try:
            body = await self._patch(purpose, kind.path(namespace, name), _touching())
        except HttpRefusal as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return await self._listed_version(kind)
        version = version_of(_read(body, purpose).metadata.resource_version)
        if version is None:
            raise nonsense(purpose, "its resourceVersion is no number")
        return version

    async def _listed_version(self, kind: Kind) -> int:
        """Return the version of a list; a watch that comes as far, by a bookmark if need be, has it all."""
        purpose = Purpose(f"the version of the {kind.resource}", "list", kind.group, kind.resource)
        request = ApiRequest(purpose, kind.path(), {"limit": "1"})
        body = await self._api.fetch(request, Deadline.after(_SECONDS))
        version = version_of(_read(body, purpose).metadata.resource_version)
        if version is None:
            raise nonsense(purpose, "its resourceVersion is no number")
        return version

    async def _patch(self, purpose: Purpose, path: str, patch: object) -> bytes:
        request = ApiRequest(purpose, path, body=msgspec.json.encode(patch), method=Method.MERGE)
        return await self._api.fetch(request, Deadline.after(_SECONDS))


def _touching() -> dict[str, object]:
    return {"metadata": {"annotations": {TOUCHED_ANNOTATION: secrets.token_hex(4)}}}


def _read(body: bytes, purpose: Purpose) -> KeyedData:
    try:
        return _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise nonsense(purpose, str(error)) from error


class LedgerStore:
    """The ledger's ConfigMap, read and written past every cache. Both raise ``StateUnreadable``."""

    def __init__(self, api: AsyncApi, guard_namespace: str) -> None:
        """Nothing is sent yet."""
        self._api = api
        self._namespace = guard_namespace
        self._path = CONFIG_MAP.path(guard_namespace, LEDGER_CONFIG_MAP)
        self.words = f"the ledger (ConfigMap {guard_namespace}/{LEDGER_CONFIG_MAP})"
        self._reads = SharedReads(self._read, lambda words: words)

    async def read(self) -> Mapping[str, str]:
        """Return ``data`` as it is now: a GET without resourceVersion goes to the store itself."""
        with _reading() as deadline:
            return await self._reads.get(self.words, deadline)

    async def merge(self, changes: Mapping[str, str | None]) -> Mapping[str, str]:
        """Merge ``changes`` into ``data`` (None takes a key out), whatever it holds; return all of it."""
        patch = msgspec.json.encode({"data": changes})
        return await self._data("patch", Method.MERGE, patch, _deadline())

    async def _read(self, words: str, deadline: Deadline) -> Mapping[str, str]:
        del words
        try:
            return await self._data("get", Method.GET, None, deadline)
        except HttpRefusal as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return {}
            raise

    async def _data(
        self, verb: str, method: Method, patch: bytes | None, deadline: Deadline
    ) -> Mapping[str, str]:
        purpose = Purpose(self.words, verb, "", CONFIG_MAP.resource, self._namespace)
        request = ApiRequest(purpose, self._path, body=patch, method=method)
        body = await self._api.fetch(request, deadline)
        return _read(body, purpose).data or {}
