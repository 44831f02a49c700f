"""Whole verdicts, before and after, held against brute force over a small cluster."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

from app.engine.budget import Unlimited
from app.engine.judge import Age, Judge, Loss, State
from app.engine.regions import NamespaceTable
from app.engine.required_flows import IpBlockMatchesPods, guarded_namespaces, required_flows
from app.engine.search.witness import contains
from tests.engine import brute, oracle
from tests.engine.oracle import Object
from tests.engine.small import WITHOUT_ADDRESSES, Key, Required, Small, key_of
from tests.engine.universe import NAMESPACES, OWN, SMALL, Generator, as_flow, engine_policy

TABLE = NamespaceTable(NAMESPACES)
Expected = dict[Key, tuple[str, str, str]]
"""For each lost flow its age, severity and certainty, as the engine calls them."""


@dataclass(frozen=True)
class Views:
    """What one set of policies allows: where ``ipBlock`` never matches pods, and where it does."""

    without: dict[str, brute.Allowed]
    with_addresses: dict[str, brute.Allowed]

    @classmethod
    def of(cls, policies: Sequence[Object], small: Small) -> Views:
        """Return both views of ``policies``."""
        views = [
            {direction: brute.allowed(space, policies, direction) for direction in ("Ingress", "Egress")}
            for space in (WITHOUT_ADDRESSES, small.with_addresses)
        ]
        return cls(views[0], views[1])


def fate(flow: Required, before: Views, after: Views, *, with_addresses: bool) -> str:
    """Return ``new``, ``old`` or "" for what becomes of ``flow`` in one of the views."""
    box = flow.box_with_addresses if with_addresses else flow.box
    earlier, later = (
        (version.with_addresses if with_addresses else version.without)[flow.direction]
        for version in (before, after)
    )
    if brute.newly_lost(box, earlier, later):
        return "new"
    return "old" if brute.lost(box, later) else ""


def _expected(flow: Required, before: Views, after: Views, small: Small) -> tuple[str, str, str] | None:
    severity = "reject" if flow.rejects else "warn"
    never = fate(flow, before, after, with_addresses=False)
    if not flow.is_pods or small.matches_pods is IpBlockMatchesPods.NO:
        return (never, severity, "cut") if never else None
    surely = fate(flow, before, after, with_addresses=True)
    if small.matches_pods is IpBlockMatchesPods.YES:
        return (surely, severity, "cut") if surely else None
    if surely != "new" and never and (never == "new" or not surely):
        return never, "warn", "ip-block-only"
    return (surely, severity, "cut") if surely else None


def expected(before: Views, after: Views, small: Small) -> Expected:
    """Return what the verdict on a change must be."""
    flows = tuple(small.required())
    found = {flow.key: fits for flow in flows if (fits := _expected(flow, before, after, small)) is not None}
    for group in _by_target(flows):
        is_cut = all(loss.key in found and found[loss.key][2] == "cut" for loss in group)
        if is_cut and _reached(group, before, small) - _reached(group, after, small):
            for loss in group:
                age, severity, certainty = found[loss.key]
                found[loss.key] = age, "reject" if loss.last_rejects else severity, certainty
    return found


def _reached(group: Sequence[Required], views: Views, small: Small) -> set[int]:
    """Return the pods behind the webhook that all of some source reaches; where it may be so, it is."""
    without = small.matches_pods is IpBlockMatchesPods.NO
    state = (views.without if without else views.with_addresses)["Ingress"]
    found: set[int] = set()
    for loss in group:
        box = loss.box if without else loss.box_with_addresses
        found |= box.own - {own for own, _ in brute.lost(box, state)}
    return found


def _by_target(flows: Iterable[Required]) -> Iterable[list[Required]]:
    """Return the flows to each target port of the webhook: one for each source."""
    groups: dict[int, list[Required]] = defaultdict(list)
    for flow in flows:
        if flow.target is not None:
            groups[flow.target].append(flow)
    return groups.values()


def random_change(chance: Random) -> tuple[list[Object], list[Object]]:
    """Return the policies of a namespace before and after a change of some of them."""
    before = Generator(chance, SMALL).policies(3)
    after = chance.sample(before, chance.randint(0, len(before)))
    after += [Generator(chance, SMALL).policy(f"q{index}") for index in range(chance.randint(0, 2))]
    return before, after


def verdicts_agree(count: int, seed: int) -> int:
    """Compare ``count`` verdicts on random changes with brute force; return the count."""
    chance = Random(seed)
    for _ in range(count):
        small = Small.random(chance)
        before, after = random_change(chance)
        losses = _judged(before, after, small)
        told = {
            key_of(loss, small): (loss.age.value, loss.severity.value, loss.certainty.value)
            for loss in losses
        }
        wanted = expected(Views.of(before, small), Views.of(after, small), small)
        assert told == wanted, (seed, small, before, after, told, wanted)
        for loss in losses:
            assert _is_true(loss, before, after), (seed, small, before, after, loss)
    return count


def _is_true(loss: Loss, before: Sequence[Object], after: Sequence[Object]) -> bool:
    """Tell whether the oracle says of the witness what the verdict does."""
    direction = loss.flow.region.direction
    flow = as_flow(loss.point, direction)
    lost_before, lost_after = (
        not oracle.allowed(list(version), flow, direction.value) for version in (before, after)
    )
    return lost_after and (loss.age is Age.OLD or not lost_before) and contains(loss.flow.region, loss.point)


def _judged(before: Sequence[Object], after: Sequence[Object], small: Small) -> tuple[Loss, ...]:
    cluster, options = small.cluster, small.options
    known = {manifest["metadata"]["name"]: engine_policy(manifest) for manifest in (*before, *after)}
    earlier, later = (
        State(tuple(known[manifest["metadata"]["name"]] for manifest in side), TABLE)
        for side in (before, after)
    )
    flows = required_flows(cluster, OWN, options, guarded_namespaces(cluster))
    return Judge(options, Unlimited()).compare(earlier, later, flows).losses
