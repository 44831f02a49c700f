"""What the ledger needs from others: the cluster, the ConfigMap, a judge, and time."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from typing import Protocol, TypeVar

from app.admission.ledger.contents import Contents
from app.admission.ledger.worst_case import Case
from app.model.snapshot import Labels, P, Policies, Resource, StoredNamespace, Version, Watched

L_co = TypeVar("L_co", covariant=True)
"""What a change takes away, as the judge tells it; the protocol never looks inside."""
T = TypeVar("T")


class Ledger(Protocol):
    """The ConfigMap's ``data``. Both raise ``StateUnreadable``; a write may have taken effect even so."""

    async def merge(self, changes: Mapping[str, str | None]) -> Mapping[str, str]:
        """Merge-patch ``data`` without a resourceVersion (None takes a key out); return all of it then."""
        ...

    async def read(self) -> Mapping[str, str]:
        """Return ``data`` as it is now: a GET without resourceVersion, never from a cache."""
        ...


class Informers(Protocol[P]):
    """What this replica's watches have seen."""

    def snapshot(self) -> Watched[P]:
        """Return policies and namespaces as watched; the very same value while nothing changes."""
        ...

    def contents(self) -> Contents:
        """Return the ledger as watched: a first guess, and what is to be dropped."""
        ...


class Reader(Protocol[P]):
    """Consistent reads; they raise ``StateUnreadable``."""

    async def policies(self, namespaces: Collection[str]) -> tuple[Mapping[str, Policies[P]], Version]:
        """List the policies of some namespaces, ``resourceVersion`` unset; with the list's version.

        Of several lists, the lowest of their versions.
        """
        ...

    async def namespaces(self) -> tuple[Mapping[str, StoredNamespace], Version]:
        """List all namespaces, ``resourceVersion`` unset."""
        ...

    async def touch(self, resource: Resource) -> int:
        """Write an annotation on the guard's own NetworkPolicy or Namespace; return its new version."""
        ...


class Judge(Protocol[P, L_co]):
    """Whoever knows what policies mean; hard questions may be asked of somebody else, so they are awaited."""

    def is_managed(self, labels: Labels) -> bool:
        """Tell whether flows of a namespace with these labels are required."""
        ...

    async def is_harmless(self, namespace: str, old: P | None, new: P | None) -> bool:
        """Tell whether a change takes nothing away, whatever else there is; None: no such policy."""
        ...

    async def loss(self, case: Case[P]) -> L_co | None:
        """Return what is open before and lost after, None for nothing."""
        ...

    def is_pair(self, namespace: str, policies: Policies[P]) -> bool:
        """Tell whether both halves of the pair stand."""
        ...


class Future(Protocol[T]):
    """A value to come: ``asyncio.Future`` is one."""

    def set_result(self, result: T, /) -> None:
        """Give the value to who awaits it."""
        ...

    def done(self) -> bool:
        """Tell whether nobody waits for it any more."""
        ...

    def __await__(self) -> Generator[object, None, T]: ...


class Runtime(Protocol):
    """Time, waiting and chance: for ``asyncio``, five lines."""

    def now(self) -> float:
        """Return seconds that never go back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def token(self) -> str:
        """Return at least 64 random bits as lower-case letters and digits."""
        ...

    def future(self) -> Future[bool]:
        """Return a value to come."""
        ...
