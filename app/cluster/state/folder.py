"""State from a directory of manifests: the embedded default, no cluster needed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from app.cluster.state.facts import Facts
from app.cluster.state.manifests import read_state
from app.cluster.state.snapshot import Snapshot, is_same, kept, snapshot_of
from app.cluster.state.webhook_services import with_memory
from app.deadline import Deadline
from app.engine.cluster import Cluster, Source
from app.engine.policy import Policy
from app.errors import StateUnreadable
from app.logs import EventLog
from app.model.access import Access, AccessQuestion, Scope
from app.wire.errors import UnusableInput
from app.wire.text.documents import Document, decode_text, read_documents
from app.wire.text.files import manifests_below

_LOG = EventLog(__name__)

POLL_SECONDS = 1.0
_SHOWN_PROBLEMS = 5

Fingerprint = tuple[tuple[str, int, int, int], ...]
"""Path, size, time of change and inode of every file: what tells a changed folder from an unchanged one."""


class DirectoryState:
    """The state that a folder's manifests describe, re-read when a file changes.

    It is read whole: every scope gets the same ``Cluster``, the very object until something in it changes.
    """

    def __init__(self, path: Path, *, declared: tuple[Source, ...] = ()) -> None:
        """Nothing is read yet; ``declared`` sources override all others."""
        self._path = path
        self._declared = declared
        self._reading = threading.Lock()
        self._seen: Fingerprint | None = None
        self._facts = Facts()
        self._snapshot = Snapshot()
        self._cluster: Cluster | None = None
        self._problem: StateUnreadable | None = None

    def ready(self) -> str | None:
        """Return None as soon as the folder could be read once, else why it could not."""
        if self._cluster is not None:
            return None
        return f"{self._path} has not been read yet" if self._problem is None else str(self._problem)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not judged, not known, or not up to date, and why, in words."""
        stale = () if self._problem is None else (f"{self._problem}; the last good state is used",)
        return (*stale, *self._snapshot.notes)

    async def run(self) -> None:
        """Look for changed files once a second until cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.refresh)
            except Exception as error:  # noqa: BLE001 - an end that nobody sees would leave old state for new
                _LOG.failure("the state could not be read again", error, path=str(self._path))
            await asyncio.sleep(POLL_SECONDS)

    async def read(self, scope: Scope, deadline: Deadline) -> Cluster:  # noqa: ARG002 - the interface
        """Return the cluster, at once. Raises ``StateUnreadable`` if the folder never was as it should be."""
        if self._cluster is None:
            self.refresh()
        if self._cluster is None:
            raise self._problem or StateUnreadable(str(self._path), "it is being read", "try again")
        return self._cluster

    async def access(self, question: AccessQuestion, deadline: Deadline) -> Access:  # noqa: ARG002 - as above
        """Return that nobody can tell: a folder has no users."""
        return Access.unknown("the state is a folder of manifests, which cannot tell what users may do")

    def refresh(self) -> None:
        """Read the folder if a file changed; one that cannot be used leaves the last good state in force."""
        with self._reading:
            seen = tuple(sorted(_fingerprint(self._path)))
            if seen == self._seen:
                return
            self._seen = seen
            try:
                self._load([Path(name) for name, *_ in seen])
            except StateUnreadable as error:
                self._problem = error
                _LOG.error("the state cannot be used", what=error.what, why=error.why, how=error.how)
            else:
                self._problem = None
                _LOG.info("the state was read", path=str(self._path), files=len(seen))

    def _load(self, files: list[Path]) -> None:
        state = read_state(_documents(self._path, files))
        if state.problems:
            raise unusable(self._path, *state.problems)
        seen = {**state.facts.seen, **self._facts.seen}
        self._facts = with_memory(replace(state.facts, seen=seen))
        # What was measured stays measured in a folder: it is of the moment at which it was written.
        self._snapshot = snapshot_of(self._facts, self._snapshot, declared=self._declared)
        old = {} if self._cluster is None else self._cluster.policies
        new = self._snapshot.with_policies(_kept_policies(old, state.policies))
        if self._cluster is None or not is_same(self._cluster, new):
            self._cluster = new


def documents_in(folder: Path) -> list[Document]:
    """Return the manifests below ``folder``. Raises ``StateUnreadable`` with all that is wrong there."""
    return _documents(folder, [Path(name) for name, *_ in sorted(_fingerprint(folder))])


def unusable(folder: Path, *problems: str) -> StateUnreadable:
    """Return the error for a folder that cannot be used, with the first few of its problems."""
    shown = list(problems[:_SHOWN_PROBLEMS])
    if len(problems) > len(shown):
        shown.append(f"and {len(problems) - len(shown)} more")
    how = "correct this; it is read again by itself"
    return StateUnreadable(f"the manifests in {folder}", "\n".join(shown), how)


def _documents(folder: Path, files: list[Path]) -> list[Document]:
    if not folder.is_dir():
        raise unusable(folder, "there is no such folder")
    if not files:
        raise unusable(folder, "there is no .yaml, .yml or .json file in it")
    documents: list[Document] = []
    problems: list[str] = []
    for file in files:
        try:
            documents += read_documents(decode_text(file.read_bytes(), str(file)), str(file))
        except UnusableInput as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"{file}: {error.strerror or error}")
    if problems:
        raise unusable(folder, *problems)
    return documents


def _fingerprint(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    """Yield every manifest below ``folder``."""
    for path in manifests_below(folder):
        try:
            told = path.stat()
        except OSError:  # it went away just now, or is a link to nowhere: reading it says so
            yield str(path), 0, 0, 0
        else:
            yield str(path), told.st_size, told.st_mtime_ns, told.st_ino


def _kept_policies(
    old: Mapping[str, tuple[Policy, ...]], new: Mapping[str, tuple[Policy, ...]]
) -> Mapping[str, tuple[Policy, ...]]:
    """Return ``new`` made of the objects of ``old`` where nothing changed: verdicts go by identity."""
    known = {(policy.namespace, policy.name): policy for policies in old.values() for policy in policies}
    merged = {}
    for name, policies in new.items():
        same = tuple(kept(known.get((policy.namespace, policy.name), policy), policy) for policy in policies)
        merged[name] = kept(old.get(name, ()), same)
    return old if merged == old else merged
