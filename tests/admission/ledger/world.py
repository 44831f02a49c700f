"""What the API servers of a simulated cluster store, with everything that it once was."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Generic

from app.model.snapshot import Labels, P, Policies, Stored, StoredNamespace, Watched


@dataclass(frozen=True, slots=True)
class Moment(Generic[P]):
    """The store at one revision, with the revisions of the last events of either resource."""

    revision: int
    policies: Mapping[str, Policies[P]]
    policies_version: int
    namespaces: Mapping[str, StoredNamespace]
    namespaces_version: int


class World(Generic[P]):
    """The store and its history; the ledger has one of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.history: list[Moment[P]] = [Moment(100, {}, 100, {}, 100)]
        self.times: list[float] = [-1.0]
        self.ledger: list[Mapping[str, str]] = [{}]
        self.ledger_times: list[float] = [-1.0]
        self.finalizers: set[str] = set()
        self.removed_at: dict[tuple[str, str], int] = {}
        self.gone: dict[str, int] = {}
        self._uids = 0

    @property
    def moment(self) -> Moment[P]:
        """The store as it is now."""
        return self.history[-1]

    @property
    def index(self) -> int:
        """The place of the present in the history."""
        return len(self.history) - 1

    def uid(self) -> str:
        """Return a uid that no object had."""
        self._uids += 1
        return f"u{self._uids}"

    def index_at(self, time: float) -> int:
        """Return what the history's last place was at a time."""
        return max(0, bisect_right(self.times, time) - 1)

    def ledger_index_at(self, time: float) -> int:
        """Return what the last place of the ledger's history was at a time."""
        return max(0, bisect_right(self.ledger_times, time) - 1)

    def put_policy(self, place: tuple[str, str], stored: Stored[P] | None) -> int:
        """Store or remove a policy; return the revision."""
        namespace, name = place
        now = self.moment
        revision = now.revision + 1
        mine = dict(now.policies.get(namespace, {}))
        old = mine.pop(name, None)
        if stored is not None:
            mine[name] = replace(stored, version=revision)
        else:
            self.removed_at[place] = len(self.history)
            if old is not None:
                self.gone[old.uid] = self.gone[f"{namespace}/{name}"] = revision
        self._append(
            replace(
                now,
                revision=revision,
                policies={**now.policies, namespace: mine},
                policies_version=revision,
            )
        )
        return revision

    def put_namespace(self, name: str, uid: str, labels: Labels) -> int:
        """Store a namespace; return the revision."""
        now = self.moment
        revision = now.revision + 1
        namespaces = {**now.namespaces, name: StoredNamespace(uid, revision, labels)}
        self._append(replace(now, revision=revision, namespaces=namespaces, namespaces_version=revision))
        return revision

    def touch(self, *, policies: bool) -> int:
        """Let something that matters to nobody change in one resource; return the revision."""
        now = self.moment
        revision = now.revision + 1
        if policies:
            self._append(replace(now, revision=revision, policies_version=revision))
        else:
            self._append(replace(now, revision=revision, namespaces_version=revision))
        return revision

    def _append(self, moment: Moment[P]) -> None:
        self.history.append(moment)
        self.times.append(self.now)

    def merge(self, changes: Mapping[str, str | None]) -> Mapping[str, str]:
        """Merge-patch the ledger."""
        data = dict(self.ledger[-1])
        for key, value in changes.items():
            if value is None:
                data.pop(key, None)
            else:
                data[key] = value
        self.ledger.append(data)
        self.ledger_times.append(self.now)
        return data


def snapshot_at(world: World[P], places: tuple[int, int], *, bookmarks: bool, gone: bool) -> Watched[P]:
    """Return what watches have seen that came to these places of the history."""
    policies, namespaces = world.history[places[0]], world.history[places[1]]
    reached = policies.revision if bookmarks else policies.policies_version
    return Watched(
        policies.policies,
        reached,
        namespaces.namespaces,
        namespaces.revision if bookmarks else namespaces.namespaces_version,
        {uid: at for uid, at in world.gone.items() if at <= reached} if gone else {},
    )
