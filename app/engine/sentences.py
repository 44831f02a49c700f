"""A verdict in sentences: what would be cut, for whom, why, and what then happens.

The first line says enough by itself; everything after it is detail (``docs/design/decisions.md``, Answers).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from app.engine.cluster import Provenance, Source
from app.engine.judge import Certainty, Loss
from app.engine.points import Peer, Point, RuleRef, allowing, peers_match
from app.engine.policy import Direction, Policy
from app.engine.required_flows import FlowId
from app.engine.words import (
    far_end_words,
    flow_words,
    listed,
    missing_words,
    place_words,
    rule_words,
    source_words,
    witness_words,
)

_CONSEQUENCES = {
    FlowId.WEBHOOK_INGRESS: "pod creations in every managed namespace hang for up to 30 s, then go through "
    "unmutated or fail",
    FlowId.MANAGED_INGRESS: "Spark drivers, executors and the control plane lose connections into this "
    "namespace; jobs fail at random",
    FlowId.MANAGED_EGRESS: "Spark drivers, executors and services of this namespace cannot reach the others; "
    "jobs fail at random",
    FlowId.PLATFORM_EGRESS: "names do not resolve, or drivers cannot create executors",
}


def main_losses(losses: Iterable[Loss]) -> tuple[Loss, ...]:
    """Return one loss per kind of flow and webhook, the gravest first; existing peers before future.

    Whatever is lost of ``platform-egress`` is one loss: it is worth one line (``docs/design/decisions.md``).
    """
    grouped: dict[tuple[FlowId, str], list[Loss]] = {}
    for loss in losses:
        webhook = loss.flow.webhook.name if loss.flow.webhook is not None else ""
        grouped.setdefault((loss.flow.id, webhook), []).append(loss)
    return tuple(_as_one(group) for group in grouped.values())


def _as_one(group: list[Loss]) -> Loss:
    first = group[0]
    if first.flow.id is not FlowId.PLATFORM_EGRESS:
        return first
    label = listed(dict.fromkeys(loss.flow.label for loss in group))
    return replace(first, flow=replace(first.flow, label=label))


def source_lines(loss: Loss, losses: Iterable[Loss]) -> tuple[str, ...]:
    """Return which API server sources are lost with ``loss``, and where a declared one is to be changed."""
    if loss.flow.webhook is None:
        return ()
    lost = dict.fromkeys(
        other.flow.source
        for other in losses
        if other.flow.webhook == loss.flow.webhook and other.flow.source is not None
    )
    return tuple(f"  {source.provenance.value + ':':8} {_source_words(source)}" for source in lost)


def _source_words(source: Source) -> str:
    if source.provenance is not Provenance.DECLARED:
        return source_words(source)
    hint = "change it there if the API server does not call from it"
    return f"{place_words(source)}, {source.origin}: {hint}"


def loss_lines(loss: Loss, policies: Sequence[Policy]) -> tuple[str, ...]:
    """Return the lines that explain one lost flow: which, an example, why, what then happens."""
    webhook = loss.flow.webhook
    missing = [] if webhook is None or not webhook.is_missing else [f"  missing: {missing_words(webhook)}"]
    return (
        f"{loss.flow.id.value}: cuts {flow_words(loss.flow)}{hedge_words(loss)}",
        f"  example: {example_words(loss)}",
        f"  why:     {why_words(loss, policies)}",
        f"  then:    {_CONSEQUENCES[loss.flow.id]}",
        *missing,
    )


def example_words(loss: Loss) -> str:
    """Return one flow of ``loss``, and where only some addresses or names of ports have it so, which."""
    example, proviso = witness_words(loss.flow, loss.point), loss.proviso
    conditions = [f"the port is named {listed(map(repr, proviso.named))}"] if proviso.named else []
    if proviso.not_named:
        conditions.append(f"the port is not named {' or '.join(map(repr, proviso.not_named))}")
    if proviso.address:
        far = far_end_words(Peer(address=loss.point.peer.address))
        conditions.insert(0, f"the address of the pod in {loss.point.peer.namespace} is {far}")
    return f"{example} (where {listed(conditions)})" if conditions else example


def item_lines(loss: Loss, policies: Sequence[Policy]) -> tuple[str, ...]:
    """Return the lines that explain one lost flow as an item of a list."""
    first, *rest = loss_lines(loss, policies)
    return (f"- {first}", *rest)


def flow_ids(losses: Iterable[Loss]) -> tuple[str, ...]:
    """Return the rows of the table of required flows that ``losses`` are of, each once."""
    return tuple(dict.fromkeys(loss.flow.id.value for loss in losses))


def hedge_words(loss: Loss) -> str:
    """Return what is not certain about a loss, in brackets."""
    if loss.certainty is Certainty.IP_BLOCK_ONLY:
        return " (only an ipBlock keeps this open, which not every network plugin applies to pods)"
    if loss.flow.is_future:
        return " (for managed namespaces that do not exist yet: the rules list today's by name)"
    return ""


def why_words(loss: Loss, policies: Sequence[Policy]) -> str:
    """Return which policies isolate the pod of the witness, and which rule comes closest."""
    direction = loss.flow.region.direction
    names = listed(dict.fromkeys(policy.name for policy in loss.isolating))
    closest = closest_rule(loss.point, direction, policies)
    hint = "" if closest is None else f". Closest is {closest_words(closest, loss.point)}"
    going = _going_words(loss, policies)
    return f"isolated for {direction.value} by {names}; no rule lets it through{going}{hint}"


def _going_words(loss: Loss, policies: Sequence[Policy]) -> str:
    """Return which policies let the point of ``loss`` through only until they are gone."""
    going = [policy for policy in policies if policy.terminating]
    found = dict.fromkeys(
        rule.policy.name for rule in allowing(going, loss.flow.region.direction, loss.point)
    )
    return f" but those of {listed(found)}, being deleted" if found else ""


def closest_rule(point: Point, direction: Direction, policies: Iterable[Policy]) -> RuleRef | None:
    """Return the first rule that fails to match ``point`` by the least: peer, then pods, then port."""
    references = [
        RuleRef(policy, direction, index)
        for policy in policies
        if not policy.terminating
        for index in range(len(policy.rules(direction)))
    ]
    closest = max(references, key=lambda reference: _matches(reference, point), default=None)
    return closest if closest is not None and any(_matches(closest, point)) else None


def _matches(reference: RuleRef, point: Point) -> tuple[bool, bool, bool]:
    """Tell whether the peer, the pods and the port of a rule match; the weightiest comes first."""
    rule = reference.rule
    pods = reference.policy.pods.matches(point.labels)
    return peers_match(rule.peers, point.peer), pods, rule.ports.contains(point.place, point.port_names)


def closest_words(reference: RuleRef, point: Point) -> str:
    """Return a rule that comes close to ``point``, and what it misses."""
    peer, pods, port = _matches(reference, point)
    found = {"its policy does not select the pod": pods, "not this peer": peer, "not this port": port}
    missed = [words for words, matches in found.items() if not matches]
    return f"{reference} ({rule_words(reference.rule)}): {listed(missed)}"
