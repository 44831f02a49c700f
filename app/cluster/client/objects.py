"""Whole objects of a cluster, read and written one at a time: for commands, and for what the guard owns.

Objects are plain JSON values here, as manifests are: nobody here decides about them. Writes go through
server-side apply where they can, so that the API server knows which fields are whose. All calls block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import msgspec

from app.cluster.client.connection import ApiAnswer, ApiRequest, Method, WritingApi
from app.cluster.client.errors import HttpRefusal, Purpose, nonsense
from app.cluster.client.listing import Collection, list_all
from app.deadline import Deadline
from app.errors import ChangeFailed, StateUnreadable
from app.model.kinds import DryRun, Kind, Manifest, Reference, Written

_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Change:
    """One request that changes something; ``words``: the RBAC verb, or ``apply``."""

    words: str
    reference: Reference
    method: Method
    body: object
    dry_run: DryRun
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def purpose(self) -> Purpose:
        """What the request is for; to apply needs the right to patch."""
        return Purpose.of(self.reference, "patch" if self.method is Method.APPLY else self.words)

    @property
    def request(self) -> ApiRequest:
        """The request; objects are created at their collection, everything else at their own path."""
        reference = self.reference
        path = reference.kind.path(reference.namespace) if self.method is Method.CREATE else reference.path
        dry = {"dryRun": "All"} if self.dry_run is DryRun.ALL else {}
        body = msgspec.json.encode(self.body)
        return ApiRequest(self.purpose, path, {**self.query, **dry}, body, self.method)


class Objects:
    """Reads and writes of whole objects through one connection, in the name of one field manager."""

    def __init__(self, api: WritingApi, manager: str, seconds: float = _SECONDS) -> None:
        """``manager`` is the field manager of all writes; each call may take ``seconds``."""
        self._api = api
        self._manager = manager
        self._seconds = seconds

    def get(self, reference: Reference) -> Manifest | None:
        """Return the object, None where there is none. Raises ``StateUnreadable``."""
        purpose = Purpose.of(reference, "get")
        try:
            answer = self._api.call(ApiRequest(purpose, reference.path), self._deadline())
        except HttpRefusal as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return _object(answer, purpose)

    def list(self, kind: Kind, namespace: str = "", labels: str = "", *, fields: str = "") -> list[Manifest]:
        """Return all objects of ``kind``, in ``namespace`` if given, that match the selectors.

        They come without ``apiVersion`` and ``kind``, as lists have them. Raises ``StateUnreadable``.
        """
        place = f" of namespace {namespace}" if namespace else ""
        asked = (("labelSelector", labels), ("fieldSelector", fields))
        selectors = {name: text for name, text in asked if text}
        collection = Collection(f"the {kind.resource}{place}", kind, namespace, selectors)
        listed = list_all(self._api, collection, self._deadline())
        return [msgspec.json.decode(item) for item in listed.items]

    def apply(self, manifest: Manifest, dry_run: DryRun = DryRun.NONE, *, force: bool = False) -> Written:
        """Apply server-side; ``force`` takes fields over from other managers.

        Raises ``ChangeFailed``; ``status`` 409 where another manager owns a field.
        """
        reference = Reference.of(manifest)
        query = {**self._strict, "force": "true"} if force else self._strict
        return self._written(_Change("apply", reference, Method.APPLY, manifest, dry_run, query))

    def create(self, manifest: Manifest, dry_run: DryRun = DryRun.NONE) -> Written:
        """Create. Raises ``ChangeFailed``; ``status`` 409 where it exists already."""
        reference = Reference.of(manifest)
        return self._written(_Change("create", reference, Method.CREATE, manifest, dry_run, self._strict))

    def replace(self, manifest: Manifest, dry_run: DryRun = DryRun.NONE) -> Written:
        """Replace, on condition of ``metadata.resourceVersion`` if there. Raises ``ChangeFailed`` (409)."""
        reference = Reference.of(manifest)
        return self._written(_Change("update", reference, Method.REPLACE, manifest, dry_run, self._strict))

    def merge(self, reference: Reference, patch: Manifest, dry_run: DryRun = DryRun.NONE) -> Written:
        """Merge ``patch`` in (RFC 7386). Raises ``ChangeFailed``."""
        query = {"fieldManager": self._manager}
        return self._written(_Change("patch", reference, Method.MERGE, patch, dry_run, query))

    def edit(self, reference: Reference, patch: Sequence[Manifest], dry_run: DryRun = DryRun.NONE) -> Written:
        """Apply a JSON patch (RFC 6902). Raises ``ChangeFailed``; 422 where a ``test`` of it fails."""
        query = {"fieldManager": self._manager}
        return self._written(_Change("patch", reference, Method.EDIT, patch, dry_run, query))

    def delete(self, reference: Reference, dry_run: DryRun = DryRun.NONE, *, uid: str = "") -> Written | None:
        """Delete, only the object of ``uid`` if given; None where there was none. Raises ``ChangeFailed``."""
        options = {"preconditions": {"uid": uid}} if uid else {}
        try:
            return self._written(_Change("delete", reference, Method.DELETE, options, dry_run))
        except ChangeFailed as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    @property
    def _strict(self) -> Mapping[str, str]:
        return {"fieldManager": self._manager, "fieldValidation": "Strict"}

    def _written(self, change: _Change) -> Written:
        try:
            answer = self._api.call(change.request, self._deadline())
            return Written(_object(answer, change.purpose), answer.warnings)
        except StateUnreadable as error:
            what = f"{change.words} {change.reference}"
            if not isinstance(error, HttpRefusal):
                raise ChangeFailed(what, error.why, error.how) from error
            raise ChangeFailed(
                what, error.why, error.how, error.status, error.said, warnings=error.warnings
            ) from error

    def _deadline(self) -> Deadline:
        return Deadline.after(self._seconds)


def _object(answer: ApiAnswer, purpose: Purpose) -> Manifest:
    try:
        found: Manifest = msgspec.json.decode(answer.body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise nonsense(purpose, str(error)) from error
    return found
