"""Changes that were let through and do not show in the state yet (``docs/design/decisions.md``).

The API server asks first and writes afterwards. Of two changes that are under review at the same time,
neither is in the state that the other is judged by, however fresh that is: two deletions that are harmless
only alone could both pass. So what this process has just let through is remembered until the state shows it,
for a few seconds at most, and the next change is judged with and without it. Another replica knows nothing of
it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic

from app.admission.outcome import PolicyChange
from app.engine.policy import Policy

_MOST = 8
"""Changes remembered for one namespace; who has more under review at once is judged by the latest of them."""
_MOST_NAMESPACES = 1_000
"""Namespaces remembered before those are forgotten whose changes are too old to matter."""


@dataclass(frozen=True, slots=True)
class _Assumed:
    change: PolicyChange
    until: float

    def is_seen_in(self, policies: tuple[Policy, ...]) -> bool:
        """Tell whether the state moved on: to what the change makes of it, or to something else."""
        now = next((policy for policy in policies if policy.name == self.change.name), None)
        return now != self.change.old

    def applied_to(self, policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
        """Return the policies as they are once the change is made."""
        others = tuple(policy for policy in policies if policy.name != self.change.name)
        return others if self.change.new is None else (*others, self.change.new)


class AssumedChanges:
    """The changes that one process let through and has not seen in the state since."""

    def __init__(self, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        """``seconds``: how long the API server may take to make a change, or drop it; 0 remembers nothing."""
        self._seconds = seconds
        self._clock = clock
        self._known: dict[str, list[_Assumed]] = defaultdict(list)

    def __bool__(self) -> bool:
        """Tell whether there is anything that has not been seen to settle."""
        return bool(self._known)

    def admitted(self, change: PolicyChange) -> None:
        """Remember a change that was let through; one that changes nothing, or has no name, is no matter."""
        if self._seconds <= 0 or not change.name or change.old == change.new:
            return
        if len(self._known) >= _MOST_NAMESPACES:
            self._forget_old()
        known = self._known[change.namespace]
        known.append(_Assumed(change, self._clock() + self._seconds))
        del known[:-_MOST]

    def _forget_old(self) -> None:
        now = self._clock()
        for namespace in [name for name, known in self._known.items() if known[-1].until <= now]:
            del self._known[namespace]

    def possible(
        self, namespace: str, policies: tuple[Policy, ...]
    ) -> Iterator[tuple[tuple[Policy, ...], Sequence[PolicyChange]]]:
        """Yield the states that may come of ``policies``, as just read, with the changes that lead there.

        Each change by itself, and all together; ``policies`` as they are is not among them.
        """
        left = self._left(namespace, policies)
        for assumed in left:
            yield assumed.applied_to(policies), (assumed.change,)
        if len(left) > 1:
            together = policies
            for assumed in left:
                together = assumed.applied_to(together)
            yield together, tuple(assumed.change for assumed in left)

    def _left(self, namespace: str, policies: tuple[Policy, ...]) -> list[_Assumed]:
        known = self._known.get(namespace)
        if not known:
            return []
        now = self._clock()
        left = [assumed for assumed in known if assumed.until > now and not assumed.is_seen_in(policies)]
        if left:
            self._known[namespace] = left
        else:
            del self._known[namespace]
        return left
