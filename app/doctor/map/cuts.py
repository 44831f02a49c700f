"""Whom the policies of one namespace cut off, one direction at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.doctor.losses import Condition, condition_of, loss_findings
from app.doctor.verdicts import Verdicts
from app.engine.judge import Loss
from app.engine.policy import Direction, Policy
from app.engine.ports import ALL_NUMBERS
from app.engine.regions import ExistingPods, Region
from app.engine.required_flows import FlowId, RequiredFlow, Severity
from app.engine.selectors import EVERYTHING

_FLOWS = {Direction.INGRESS: FlowId.MANAGED_INGRESS, Direction.EGRESS: FlowId.MANAGED_EGRESS}


@dataclass(frozen=True, slots=True)
class Part:
    """Peers that are cut off alike; bit i stands for ``table.order[i]``."""

    peers: int
    condition: Condition
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cut:
    """Whom one direction of a namespace's policies cuts off: parts that do not overlap."""

    parts: tuple[Part, ...] = ()

    def condition(self, bit: int) -> tuple[Condition, tuple[str, ...]]:
        """Return how the connection with the namespace of ``bit`` stands, and why."""
        return next(
            ((part.condition, part.why) for part in self.parts if part.peers & bit), (Condition.OPEN, ())
        )

    def mask(self, condition: Condition) -> int:
        """Return the namespaces with which the connection stands like that."""
        return sum(part.peers for part in self.parts if part.condition is condition)


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
            yield Part(alike, Condition.UNKNOWN, ("too complex to verify",))
        elif losses:
            yield Part(alike, condition_of(losses), why_lost(losses, policies))

    def _alike(self, direction: Direction, policies: tuple[Policy, ...]) -> list[int]:
        """Return the peers in parts that no selector of these policies tells apart."""
        if not any(policy.isolates(direction) for policy in policies):
            return []
        rules = (rule for policy in policies for rule in policy.rules(direction) if rule.peers is not None)
        selectors = {peer.namespaces for rule in rules if rule.peers is not None for peer in rule.peers.pods}
        parts = [self.peers]
        for mask in set(map(self.verdicts.table.mask, selectors)):
            parts = [part for each in parts for part in (each & mask, each & ~mask) if part]
        return parts

    def _losses(
        self, direction: Direction, alike: int, policies: tuple[Policy, ...]
    ) -> tuple[Loss, ...] | None:
        names = frozenset(_names(self.verdicts, alike))
        region = Region(direction, EVERYTHING, ExistingPods(names), ALL_NUMBERS)
        flow = RequiredFlow(_FLOWS[direction], self.namespace, region, Severity.REJECT)
        return self.verdicts.losses(policies, (flow,))


def _names(verdicts: Verdicts, mask: int) -> Iterator[str]:
    order = verdicts.table.order
    while mask:
        lowest = mask & -mask
        yield order[lowest.bit_length() - 1]
        mask ^= lowest


def why_lost(losses: Iterable[Loss], policies: tuple[Policy, ...]) -> tuple[str, ...]:
    """Return the sentences that explain losses: an example, and why it is lost."""
    return tuple(sentence for finding in loss_findings(losses, policies) for sentence in finding.evidence)
