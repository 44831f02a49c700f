"""A cluster's policies in memory: what is applied is there, what every write left is remembered."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from app.engine.policy import Policy
from app.errors import ChangeFailed, InputError
from app.install.policies.stored import Stored, stored_of
from app.install.ports import Tone
from app.model.kinds import NETWORK_POLICY, DryRun, Kind, Manifest, Reference, Written


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
    def of(cls, *manifests: Manifest, manager: str = "kubectl") -> Self:
        """Return a store that holds ``manifests``, written by ``manager``."""
        store = cls()
        for manifest in manifests:
            store._put(manifest, manager)
        store._remember()
        return store

    def get(self, reference: Reference) -> Manifest | None:
        """Return the object."""
        return copy.deepcopy(self.objects.get(reference))

    def list(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Manifest]:
        """Return the objects of ``kind``."""
        wanted = dict(pair.split("=") for pair in labels.split(",") if pair)
        return [
            copy.deepcopy(manifest)
            for reference, manifest in self.objects.items()
            if reference.kind == kind
            and namespace in ("", reference.namespace)
            and wanted.items() <= (manifest["metadata"].get("labels") or {}).items()
        ]

    def apply(self, manifest: Manifest, dry_run: DryRun = DryRun.NONE, *, force: bool = False) -> Written:
        """Write, as long as writes go through; a spec of another manager that differs is a conflict."""
        reference = Reference.of(manifest)
        there = self.objects.get(reference)
        theirs = there is not None and _manager(there) != "ours"
        if there is not None and theirs and not force and there.get("spec") != manifest.get("spec"):
            raise ChangeFailed(f"apply {reference}", "conflict", status=409, said="conflict with another")
        applied = manifest if there is None else _applied(there, manifest, keep_labels=theirs)
        return self._write(applied, dry_run, "ours")

    def create(self, manifest: Manifest, dry_run: DryRun = DryRun.NONE) -> Written:
        """Create, as long as writes go through."""
        return self._write(manifest, dry_run, "ours")

    def merge(self, reference: Reference, patch: Manifest, dry_run: DryRun = DryRun.NONE) -> Written:
        """Merge ``patch`` in, as long as writes go through."""
        merged: Manifest = _merged(self._there("patch", reference), patch)
        return self._write(merged, dry_run, "ours")

    def edit(self, reference: Reference, patch: Sequence[Manifest], dry_run: DryRun = DryRun.NONE) -> Written:
        """Replace members, as long as writes go through."""
        edited = copy.deepcopy(self._there("patch", reference))
        for operation in patch:
            assert operation["op"] == "replace"
            *path, last = operation["path"].strip("/").split("/")
            parent: Any = edited
            for key in path:
                parent = parent[int(key) if isinstance(parent, list) else key]
            parent[last] = operation["value"]
        return self._write(edited, dry_run, "ours")

    def delete(self, reference: Reference, dry_run: DryRun = DryRun.NONE, *, uid: str = "") -> Written | None:
        """Delete, as long as writes go through."""
        assert dry_run is DryRun.NONE
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
        return tuple(stored.policy for stored in self.stored())

    def stored(self) -> tuple[Stored, ...]:
        """Return all policies with whose they are."""
        return tuple(map(stored_of, self.list(NETWORK_POLICY)))

    def _there(self, verb: str, reference: Reference) -> Manifest:
        if reference not in self.objects:
            raise ChangeFailed(f"{verb} {reference}", "it is not there", status=404)
        return self.objects[reference]

    def _write(self, manifest: Manifest, dry_run: DryRun, manager: str) -> Written:
        if dry_run is DryRun.NONE:
            self._count()
            self._put(manifest, manager)
            self._remember()
        return Written(copy.deepcopy(manifest))

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


def _applied(there: Manifest, manifest: Manifest, *, keep_labels: bool) -> Manifest:
    """Return what server-side apply would make of an object, as far as it matters here.

    What others wrote stays: the status, labels on what was theirs, members of a webhook by its name.
    """
    applied = {**there, **_merged(there, manifest)}
    if "webhooks" in manifest:
        old = {webhook["name"]: webhook for webhook in there.get("webhooks") or ()}
        applied["webhooks"] = [
            _merged(old.get(webhook["name"], {}), webhook) for webhook in manifest["webhooks"]
        ]
    if "spec" in manifest:
        applied["spec"] = manifest["spec"]
    if not keep_labels:
        kept = {key: there["metadata"][key] for key in ("uid", "managedFields")}
        applied["metadata"] = {**manifest["metadata"], **kept}
    return applied


def _merged(target: Any, patch: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the merge of two values (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        merged[key] = _merged(merged.get(key), value)
    return {key: value for key, value in merged.items() if value is not None}


def _manager(manifest: Manifest) -> str:
    name: str = manifest["metadata"]["managedFields"][0]["manager"]
    return name


class NoTime:
    """A clock on which nothing takes long; ``meanwhile`` is what happens while it is waited."""

    def __init__(self, meanwhile: Callable[[], None] = _nothing) -> None:
        self.slept: list[float] = []
        self._meanwhile = meanwhile

    def now(self) -> float:
        """Return how long was waited so far."""
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        """Return at once."""
        self.slept.append(seconds)
        self._meanwhile()


class RecordingTerminal:
    """A terminal that only remembers; ``answer`` is what it says when asked, None where nobody is there."""

    def __init__(self, *, answer: bool | None = None) -> None:
        self.lines: list[str] = []
        self.questions: list[str] = []
        self.bad: list[str] = []
        self._answer = answer

    @property
    def text(self) -> str:
        """All that was shown."""
        return "\n".join(self.lines)

    def show(self, lines: Iterable[str], tone: Tone = Tone.PLAIN) -> None:
        """Remember the lines."""
        shown = list(lines)
        self.lines += shown
        self.bad += shown if tone is Tone.BAD else []

    def confirm(self, question: str) -> bool:
        """Answer."""
        self.questions.append(question)
        if self._answer is None:
            raise InputError("", "nobody can be asked here")
        return self._answer

    def begin(self, what: str) -> None:
        """Remember what begins."""
        self.lines.append(what)

    def end(self, how: str) -> None:
        """Remember how it went."""
        self.lines[-1] += f": {how}"
