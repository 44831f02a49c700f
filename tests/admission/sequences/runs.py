"""One sequence for each seed: what is lost in it that was open and required in every state since."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from random import Random

from app.engine.addresses import network_set
from app.engine.cluster import Provenance, Source
from app.engine.policy import PodPeer
from app.engine.required_flows import IpBlockMatchesPods, Options
from app.engine.selectors import NAMESPACE_NAME_LABEL, Selector
from tests.admission.sequences.guard import Guard, Setting
from tests.admission.sequences.referee import SPACES, Caller, Points, Referee, meet, without
from tests.admission.sequences.steps import Steps
from tests.engine.small import ADDRESSES, POD_ADDRESS_CLASSES, POD_ADDRESSES

LONGEST = 12
_POOL: tuple[Caller, ...] = (*(Caller(address) for address in ADDRESSES), Caller(None, "ns-c", {"app": "a"}))


@dataclass
class Sequence:
    """What happened, and what was lost by the last of it."""

    seed: int
    trace: list[str] = field(default_factory=list)
    lost: Points = field(default_factory=dict)
    admitted: int = 0
    aside: int = 0


def random_setting(chance: Random, *, has_ledger: bool) -> tuple[Setting, Referee]:
    """Return where calls come from and what the plugin does, with a referee who knows the same."""
    callers = tuple(chance.sample(_POOL, chance.choice((1, 2))))
    matches = chance.choice((*IpBlockMatchesPods, IpBlockMatchesPods.NO, IpBlockMatchesPods.UNKNOWN))
    has_cilium = matches is IpBlockMatchesPods.UNKNOWN and chance.random() < 0.5
    cidr = chance.choice(POD_ADDRESSES)
    addresses: tuple[str | None, ...] = (None,)
    if matches is not IpBlockMatchesPods.NO and not has_cilium:
        # Where it is not known, only what is lost although the block counts is refused.
        pods = ip_network(cidr)
        addresses = tuple(each for each in POD_ADDRESS_CLASSES if ip_address(each) in pods)
    options = Options(matches, pod_addresses=network_set(ip_network(cidr)))
    setting = Setting(tuple(map(_source, callers)), options, has_cilium, has_ledger)
    return setting, Referee(callers, addresses)


def _source(caller: Caller) -> Source:
    if caller.address is not None:
        return Source(Provenance.DECLARED, caller.address, network_set(ip_network(caller.address)))
    named = Selector.labels({NAMESPACE_NAME_LABEL: caller.namespace})
    return Source(Provenance.DECLARED, "pods", pods=PodPeer(named, Selector.labels(caller.labels)))


def one_run(seed: int, loop: asyncio.AbstractEventLoop, *, has_ledger: bool = True) -> Sequence:
    """Return the sequence of ``seed``; it ends with the first step that loses something."""
    chance, found = Random(seed), Sequence(seed)
    setting, referee = random_setting(chance, has_ledger=has_ledger)
    guard = Guard(setting, loop)
    guard.store.one_account = chance.random() < 0.3
    steps = Steps(chance, guard)
    steps.begin()
    store = guard.store
    referee.webhook.follow(store)
    kept = meet(referee.required(store), referee.opened(store))
    for _ in range(chance.randint(3, LONGEST)):
        step = steps.one()
        found.trace.append(step.words)
        found.aside += step.is_aside
        aside = frozenset(SPACES) if step.is_aside else frozenset[str]()
        for by_controllers in (False, True):
            if by_controllers:
                steps.background()
            guard.saw()
            referee.webhook.follow(store)
            required, opened = referee.required(store), referee.opened(store)
            lost = without(meet(kept, required), opened)
            found.lost = {place: ports for place, ports in lost.items() if place.namespace not in aside}
            if found.lost:
                return found
            kept, aside = meet(required, opened), steps.weak()
    found.admitted = sum(decision.verdict == "admit" for decision in guard.decisions)
    return found
