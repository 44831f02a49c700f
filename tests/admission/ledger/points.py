"""Policies as sets of points: so small that hundreds of thousands of runs can be tried.

A namespace has a few kinds of pods, as bits. A policy isolates some kinds, and lets peers in to some of them:
all, or those of namespaces with one label. A point is a kind of pods and a namespace as its peer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from random import Random

from app.admission.ledger.worst_case import Case, Side
from app.model.snapshot import Labels, Policies

KINDS = 2
ALL = (1 << KINDS) - 1
MANAGED = ("managed", "true")
TEAMS = ("x", "y")
Wanted = tuple[str, str] | None
"""A label that the peer's namespace must have; None: anybody."""
ANY_LABELS: tuple[Labels, ...] = tuple(
    managed | team
    for managed in ({}, {"managed": "true"})
    for team in ({}, *({"team": team} for team in TEAMS))
)


@dataclass(frozen=True, slots=True)
class PointPolicy:
    """What a policy isolates, and what it lets in to which peers; ``allows`` only of what it isolates."""

    isolates: int
    allows: tuple[tuple[int, Wanted], ...] = ()

    def allowed(self, labels: Labels) -> int:
        """Return the kinds of pods that peers in a namespace with ``labels`` may reach."""
        found = 0
        for kinds, wanted in self.allows:
            if wanted is None or labels.get(wanted[0]) == wanted[1]:
                found |= kinds
        return found


DENY_ALL = PointPolicy(ALL)
ALLOW_ALL = PointPolicy(ALL, ((ALL, None),))
HALF_A = PointPolicy(1, ((1, ("team", "x")),))
HALF_B = PointPolicy(ALL, ((ALL, MANAGED),))
HALVES = {"half-a": HALF_A, "half-b": HALF_B}


def lost_to(side: Side[PointPolicy], labels: Labels) -> int:
    """Return the kinds of pods that peers in a namespace with ``labels`` do not reach."""
    isolated, allowed = (ALL if side.blanket else 0), 0
    for policy in side.policies:
        isolated |= policy.isolates
        for kinds, wanted in policy.allows:
            if wanted is None or labels.get(wanted[0]) == wanted[1]:
                allowed |= kinds
    return isolated & ~allowed


class PointJudge:
    """The judge of the small model."""

    def is_managed(self, labels: Labels) -> bool:
        """Tell whether flows of a namespace with these labels are required."""
        return labels.get("managed") == "true"

    async def is_harmless(self, namespace: str, old: PointPolicy | None, new: PointPolicy | None) -> bool:
        """Tell whether a change takes nothing away, whatever else there is."""
        del namespace
        return _is_harmless(old, new)

    async def loss(self, case: Case[PointPolicy]) -> tuple[str, int] | None:
        """Return a peer and the kinds of pods that it reaches before and not after."""
        for peer in sorted(case.peers):
            was_lost = 0 if case.before is None else lost_to(case.before, case.before.namespaces[peer])
            for side in case.after:
                lost = lost_to(side, side.namespaces[peer]) & ~was_lost
                if lost:
                    return peer, lost
        return None

    def is_pair(self, namespace: str, policies: Policies[PointPolicy]) -> bool:
        """Tell whether both halves stand."""
        del namespace
        return all(name in policies for name in HALVES)


@lru_cache(maxsize=100_000)
def _is_harmless(old: PointPolicy | None, new: PointPolicy | None) -> bool:
    for labels in ANY_LABELS:
        was = 0 if old is None else old.allowed(labels)
        now = 0 if new is None else new.allowed(labels)
        isolated = 0 if old is None else old.isolates
        isolates = 0 if new is None else new.isolates
        if was & ~now or isolates & ~now & ~isolated:
            return False
    return True


_SELECTORS: tuple[Wanted, ...] = (None, None, MANAGED, ("team", "x"), ("team", "y"))


class PointModel:
    """Random policies and labels of the small model, and what is open."""

    judge = PointJudge()

    def policy(self, chance: Random) -> PointPolicy:
        """Return a policy."""
        draw = chance.random()
        if draw < 0.3:
            return DENY_ALL
        if draw < 0.5:
            return ALLOW_ALL
        isolates = chance.randint(1, ALL)
        count = chance.choice((0, 1, 1, 2))
        rules = tuple(
            (kinds, chance.choice(_SELECTORS))
            for _ in range(count)
            if (kinds := chance.randint(1, ALL) & isolates)
        )
        return PointPolicy(isolates, rules)

    def deny_all(self) -> PointPolicy:
        """Return the policy that isolates and allows nothing."""
        return DENY_ALL

    def allow_all(self) -> PointPolicy:
        """Return the policy that allows everything."""
        return ALLOW_ALL

    def allow_team(self, team: str) -> PointPolicy:
        """Return the policy that lets in what has this label."""
        return PointPolicy(ALL, ((ALL, ("team", team)),))

    def allow_managed(self) -> PointPolicy:
        """Return the policy that lets in managed namespaces."""
        return PointPolicy(ALL, ((ALL, MANAGED),))

    def labels(self, name: str, team: str | None, *, managed: bool) -> Labels:
        """Return the labels of a namespace."""
        del name
        found = {"managed": "true"} if managed else {}
        return found if team is None else {**found, "team": team}

    def half(self, name: str) -> PointPolicy:
        """Return one half of the pair."""
        return HALVES[name]

    def open_points(
        self, namespace: str, policies: tuple[PointPolicy, ...], peer: str, labels: Labels
    ) -> int:
        """Return the points of ``namespace`` with this peer that are open, as bits."""
        del namespace, peer
        return ALL & ~lost_to(Side(policies, {}), labels)
