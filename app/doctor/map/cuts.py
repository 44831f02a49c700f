"""Whom the policies of one namespace cut off, one direction at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.doctor.findings import Severity
from app.doctor.losses import loss_findings, severity_of
from app.doctor.map.graph import Link
from app.doctor.verdicts import Verdicts
from app.engine.judge import Loss
from app.engine.policy import Direction, Policy
from app.engine.ports import ALL_NUMBERS
from app.engine.regions import ExistingPods, Region
from app.engine.requirements import FlowId, RequiredFlow
from app.engine.requirements import Severity as Weight
from app.engine.selectors import EVERYTHING

_FLOWS = {Direction.INGRESS: FlowId.MANAGED_INGRESS, Direction.EGRESS: FlowId.MANAGED_EGRESS}


@dataclass(frozen=True, slots=True)
class Part:
    """Peers that are cut off alike; bit i stands for ``table.order[i]``."""

    peers: int
    link: Link
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cut:
    """Whom one direction of a namespace's policies cuts off: parts that do not overlap."""

    parts: tuple[Part, ...] = ()

    def link(self, bit: int) -> tuple[Link, tuple[str, ...]]:
        """Return how the connection with the namespace of ``bit`` stands, and why."""
        return next(((one.link, one.why) for one in self.parts if one.peers & bit), (Link.OPEN, ()))

    def mask(self, link: Link) -> int:
        """Return the namespaces with which the connection stands like that."""
        return sum(one.peers for one in self.parts if one.link is link)


@dataclass(frozen=True, slots=True)
class CutQuestion:
    """Whom the policies of one namespace cut off, among ``peers``."""

    verdicts: Verdicts
    namespace: str
    peers: int

    def cut(self, direction: Direction) -> Cut:
        """Return the answer; equal policies get it once."""
        policies = self.verdicts.cluster.policies.get(self.namespace, ())
        key = ("cut", direction, self.peers, self.verdicts.meaning(policies))
        return self.verdicts.remembered(key, lambda: self._ask(direction, policies))

    def _ask(self, direction: Direction, policies: tuple[Policy, ...]) -> Cut:
        return Cut(
            tuple(
                part
                for alike in self._alike(direction, policies)
                for part in self._part(alike, self._losses(direction, alike, policies), policies)
            )
        )

    @staticmethod
    def _part(alike: int, losses: tuple[Loss, ...] | None, policies: tuple[Policy, ...]) -> Iterator[Part]:
        if losses is None:
            yield Part(alike, Link.UNKNOWN, ("too complex to verify",))
        elif losses:
            link = Link.LOST if severity_of(losses) is Severity.ERROR else Link.AT_RISK
            yield Part(alike, link, why_lost(losses, policies))

    def _alike(self, direction: Direction, policies: tuple[Policy, ...]) -> list[int]:
        """Return the peers in parts that no selector of these policies tells apart."""
        if not any(one.isolates(direction) for one in policies):
            return []
        rules = (rule for one in policies for rule in one.rules(direction) if rule.peers is not None)
        selectors = {peer.namespaces for rule in rules if rule.peers is not None for peer in rule.peers.pods}
        parts = [self.peers]
        for mask in {self.verdicts.table.mask(one) for one in selectors}:
            parts = [part for each in parts for part in (each & mask, each & ~mask) if part]
        return parts

    def _losses(
        self, direction: Direction, alike: int, policies: tuple[Policy, ...]
    ) -> tuple[Loss, ...] | None:
        names = frozenset(_names(self.verdicts, alike))
        region = Region(direction, EVERYTHING, ExistingPods(names), ALL_NUMBERS)
        flow = RequiredFlow(_FLOWS[direction], self.namespace, region, Weight.REJECT)
        return self.verdicts.losses(policies, (flow,))


def _names(verdicts: Verdicts, mask: int) -> Iterator[str]:
    order = verdicts.table.order
    while mask:
        lowest = mask & -mask
        yield order[lowest.bit_length() - 1]
        mask ^= lowest


def why_lost(losses: Iterable[Loss], policies: tuple[Policy, ...]) -> tuple[str, ...]:
    """Return the sentences that explain losses: an example, and why it is lost."""
    return tuple(sentence for one in loss_findings(losses, policies) for sentence in one.evidence)
