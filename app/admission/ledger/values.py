"""The change under review."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeAlias

from app.model.snapshot import Labels, P, Stored, StoredNamespace


class Effect(Enum):
    """Whether an admitted change is made."""

    REAL = "real"
    DRY_RUN = "dry run"


@dataclass(frozen=True, slots=True)
class PolicyChange(Generic[P]):
    """One policy before (None: created) and after (None: deleted).

    ``uid`` is the object's; a review of a CREATE carries it. ``assumed`` is the other half of a pair, given
    where ``new`` is one half and the user may override: it is judged as if it stood.
    """

    namespace: str
    name: str
    uid: str
    old: Stored[P] | None
    new: P | None
    assumed: tuple[P, ...] = ()
    effect: Effect = Effect.REAL


@dataclass(frozen=True, slots=True)
class LabelChange:
    """The labels of one namespace before (None: created) and after."""

    name: str
    uid: str
    old: StoredNamespace | None
    labels: Labels
    effect: Effect = Effect.REAL


Change: TypeAlias = PolicyChange[P] | LabelChange


def namespace_of(change: Change[P]) -> str:
    """Return the namespace that a change is about."""
    return change.name if isinstance(change, LabelChange) else change.namespace
