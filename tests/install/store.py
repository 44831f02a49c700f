"""A cluster's policies in memory: what is applied is there, what every write left is remembered."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.engine.policy import Policy
from app.errors import ChangeFailed
from app.install.policies.stored import Stored, stored_of
from app.model.kinds import NETWORK_POLICY, Kind, Manifest, Reference, Rehearsal, Written


def _nothing() -> None:
    """Do nothing."""


@dataclass
class MemoryStore:
    """Objects by reference; ``history`` holds the policies as every write left them.

    ``writes`` is how many more writes go through before one ends with ``end``.
    """

    objects: dict[Reference, Manifest] = field(default_factory=dict)
    history: list[list[Manifest]] = field(default_factory=list)
    writes: int = 1_000_000
    end: Callable[[], BaseException] = lambda: ChangeFailed("write", "the API server went away")
    before_write: Callable[[], None] = _nothing
    _uids: int = 0

    @classmethod
    def of(cls, *manifests: Manifest, manager: str = "kubectl") -> MemoryStore:
        """Return a store that holds ``manifests``, written by ``manager``."""
        store = cls()
        for one in manifests:
            store._put(one, manager)
        store._remember()
        return store

    def get(self, reference: Reference) -> Manifest | None:
        """Return the object."""
        return copy.deepcopy(self.objects.get(reference))

    def list(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Manifest]:
        """Return the objects of ``kind``."""
        assert not labels
        found = (one for key, one in self.objects.items() if key.kind == kind)
        return [copy.deepcopy(one) for one in found if namespace in ("", one["metadata"].get("namespace"))]

    def apply(
        self, manifest: Manifest, rehearsal: Rehearsal = Rehearsal.REAL, *, force: bool = False
    ) -> Written:
        """Write, as long as writes go through; a spec of another manager that differs is a conflict."""
        reference = Reference.of(manifest)
        there = self.objects.get(reference)
        if (
            there is not None
            and not force
            and _manager(there) != "ours"
            and there["spec"] != manifest["spec"]
        ):
            raise ChangeFailed(f"apply {reference}", "conflict", status=409, said="conflict with another")
        if rehearsal is Rehearsal.DRY_RUN:
            return Written(copy.deepcopy(manifest))
        self._count()
        self._put(manifest, "ours")
        self._remember()
        return Written(copy.deepcopy(self.objects[reference]))

    def create(self, manifest: Manifest, rehearsal: Rehearsal = Rehearsal.REAL) -> Written:
        """Create nothing: the answers of a guard are tested with one."""
        raise NotImplementedError

    def merge(self, reference: Reference, patch: Manifest, rehearsal: Rehearsal = Rehearsal.REAL) -> Written:
        """Merge nothing: as above."""
        raise NotImplementedError

    def delete(
        self, reference: Reference, rehearsal: Rehearsal = Rehearsal.REAL, *, uid: str = ""
    ) -> Written | None:
        """Delete, as long as writes go through."""
        assert rehearsal is Rehearsal.REAL
        self._count()
        there = self.objects.get(reference)
        if there is None:
            return None
        if uid and there["metadata"]["uid"] != uid:
            raise ChangeFailed(f"delete {reference}", "precondition failed", status=409)
        del self.objects[reference]
        self._remember()
        return Written(there)

    def policies(self) -> tuple[Policy, ...]:
        """Return all policies as the engine has them."""
        return tuple(one.policy for one in self.stored())

    def stored(self) -> tuple[Stored, ...]:
        """Return all policies with whose they are."""
        return tuple(map(stored_of, self.list(NETWORK_POLICY)))

    def _remember(self) -> None:
        self.history.append(self.list(NETWORK_POLICY))

    def _count(self) -> None:
        self.before_write()
        if self.writes == 0:
            raise self.end()
        self.writes -= 1

    def _put(self, manifest: Manifest, manager: str) -> None:
        self._uids += 1
        reference = Reference.of(manifest)
        old = self.objects.get(reference)
        uid = old["metadata"]["uid"] if old else f"uid-{self._uids}"
        put: dict[str, Any] = copy.deepcopy(manifest)
        fields = [{"manager": manager, "fieldsV1": {"f:spec": {}}}]
        put["metadata"] = {**put["metadata"], "uid": uid, "managedFields": fields}
        self.objects[reference] = put


def _manager(manifest: Manifest) -> str:
    name: str = manifest["metadata"]["managedFields"][0]["manager"]
    return name


class NoTime:
    """A clock on which nothing takes long; remembers how long it was waited."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        """Return how long was waited so far."""
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        """Return at once."""
        self.slept.append(seconds)


class Heard:
    """Progress that is only remembered."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def begin(self, what: str) -> None:
        """Remember what begins."""
        self.lines.append(what)

    def end(self, how: str) -> None:
        """Remember how it went."""
        self.lines[-1] += f": {how}"
