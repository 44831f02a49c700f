"""Which policies of a namespace can select the same pods: what one policy has to be judged together with."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from app.engine.policy import Policy
from app.engine.selectors import Selector


class Neighbours:
    """The policies of one namespace, found by the pods that they can share.

    Nearly all policies of a large namespace pin the same label to a value of their own (``app=...``): by that
    label each is compared only with the few that could have the value, not with all.
    """

    def __init__(self, policies: Iterable[Policy]) -> None:
        self._all = tuple(policies)
        counts = Counter(key for policy in self._all for key in _pinned(policy.pods))
        self._key = max(counts, key=lambda key: counts[key], default="")
        self._by_value: dict[str, list[int]] = defaultdict(list)
        self._free: list[int] = []
        for place, policy in enumerate(self._all):
            values = _pinned(policy.pods).get(self._key)
            if values is None:
                self._free.append(place)
            for value in values or ():
                self._by_value[value].append(place)

    def of(self, policy: Policy) -> tuple[Policy, ...]:
        """Return the policies that can select a pod of ``policy``, in their order."""
        found = (self._all[place] for place in self._candidates(policy))
        return tuple(other for other in found if other.pods & policy.pods)

    def _candidates(self, policy: Policy) -> Sequence[int]:
        values = _pinned(policy.pods).get(self._key)
        if values is None:
            return range(len(self._all))
        return sorted({*self._free, *(place for value in values for place in self._by_value.get(value, ()))})


def _pinned(selector: Selector) -> dict[str, frozenset[str]]:
    """Return the keys that must have one of a few values."""
    return {
        key: accepted.values
        for key, accepted in selector.terms
        if not accepted.cofinite and not accepted.absent
    }
