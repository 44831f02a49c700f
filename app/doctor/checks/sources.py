"""The API server's addresses in the policies, against those that are known.

A control plane has several members, and addresses change on upgrades: each known source must be let in to
each webhook, and what is let in should be a source (``docs/design/sources.md``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from app.doctor import repairs
from app.doctor.context import Context
from app.doctor.findings import Check, Finding, FindingSeverity
from app.doctor.losses import severity_of, silence_of
from app.doctor.repairs import Repair
from app.doctor.verdicts import NamespaceVerdict, Verdicts
from app.engine.addresses import place_of
from app.engine.baselines import (
    DOCUMENTED_OPERATOR,
    MANAGED_NAME,
    OPERATOR_NAME,
    operator_selectors,
    written_baselines,
)
from app.engine.cluster import Provenance, Source
from app.engine.intervals import IntervalSet
from app.engine.judge import Loss
from app.engine.policy import Direction, Policy
from app.engine.required_flows import FlowId
from app.engine.words import addresses_words, listed, place_words
from app.model.sources_config_map import stamp


def examine_sources(context: Context) -> Iterator[Finding]:
    """Yield what is wrong with what is known of the API server's addresses."""
    sources = context.verdicts.cluster.sources
    if sources:
        context.say_fine(f"the API server calls from {listed(map(source_words, sources))}")
    elif context.can_tell("endpointslices", "nodes"):
        yield Finding(
            Check.API_SERVER_UNKNOWN,
            "nobody knows from which addresses the API server calls webhooks",
            evidence=("no EndpointSlice of default/kubernetes, no control-plane node, nothing declared",),
            consequence="whether it reaches the webhooks cannot be judged",
            repair=Repair("declare them", "netpol-guard bootstrap --baselines-only --api-server ADDRESS"),
        )
    yield from _unmatchable(context)
    yield from _unknown_peers(context)


def _unmatchable(context: Context) -> Iterator[Finding]:
    limit = context.survey.limit
    if limit is None:
        return
    yield Finding(
        Check.API_SERVER_UNMATCHABLE,
        "no NetworkPolicy can let the API server in: Cilium does not match nodes by ipBlock here",
        evidence=(limit.why, *_each_source("a source is", limit.sources)),
        consequence="the baselines cut every webhook of IOMETE off, although they name the API server",
        repair=Repair(
            limit.how,
            "kubectl -n kube-system patch configmap cilium-config --type=merge"
            """ -p '{"data":{"policy-cidr-match-mode":"nodes"}}'"""
            " && kubectl -n kube-system rollout restart daemonset cilium",
        ),
    )


def _unknown_peers(context: Context) -> Iterator[Finding]:
    known = _known_addresses(context)
    for peer in context.survey.memory.unknown:
        if place_of(peer.address) not in known:
            yield Finding(
                Check.API_SERVER_UNKNOWN_PEER,
                f"the guard was called from {peer.address}, which no known source covers",
                evidence=(f"seen from {stamp(peer.first_seen)} to {stamp(peer.last_seen)}",),
                consequence="if it is a member of the control plane, a policy may cut it off without a word;"
                " if not, somebody else reaches the guard's port, which does no harm by itself",
                repair=Repair(
                    "measure again; what is an API server's then becomes a source",
                    "netpol-guard bootstrap --image IMAGE",
                ),
            )


def source_words(source: Source) -> str:
    """Return a source in words: where, and how it is known."""
    return f"{place_words(source)} ({source.provenance.value}: {source.origin})"


def operator_like(policy: Policy, verdicts: Verdicts) -> bool:
    """Tell whether a policy is there for the webhook's pods: by its name, or by what it selects."""
    if not policy.isolates(Direction.INGRESS) or policy.name == MANAGED_NAME:
        return False
    selectors = (DOCUMENTED_OPERATOR, *operator_selectors(verdicts.cluster, policy.namespace))
    return policy.name.startswith(OPERATOR_NAME) or (
        policy.pods in selectors and bool(_let_in(policy)) and bool(policy.pods.terms)
    )


def source_findings(context: Context, verdict: NamespaceVerdict) -> Iterator[tuple[Finding, Sequence[Loss]]]:
    """Yield what is wrong with the addresses in the policies of a namespace, and which losses it explains."""
    operators = [policy for policy in verdict.policies if operator_like(policy, context.verdicts)]
    losses = [loss for loss in verdict.losses if loss.flow.id is FlowId.WEBHOOK_INGRESS]
    known = _known_addresses(context)
    foreign = {policy.name: _let_in(policy) - known for policy in operators if not policy.terminating}
    wrong = [policy for policy in operators if foreign.get(policy.name) and not _let_in(policy) & known]
    lost = {id(loss.flow.source) for loss in losses}
    required = {id(flow.source) for flow in verdict.flows if flow.id is FlowId.WEBHOOK_INGRESS}
    if wrong and lost == required and context.verdicts.cluster.sources:
        yield _wrong(context, wrong[0], losses), losses
        return
    if losses and lost < required:
        yield _member(context, verdict.namespace, operators, losses), losses
    for policy in operators if known else ():
        if foreign.get(policy.name):
            yield _stale(context, policy, foreign[policy.name]), ()


def _wrong(context: Context, policy: Policy, losses: Sequence[Loss]) -> Finding:
    # Where no flow is judged, a webhook may still be served, and be broken in other ways.
    serves = any(each.client.namespace == policy.namespace for each in context.survey.registrations)
    unjudged = FindingSeverity.ERROR if serves else FindingSeverity.WARNING
    return Finding(
        Check.API_SERVER_WRONG_ADDRESS,
        f"{policy.name} of {policy.namespace} lets in {addresses_words(_let_in(policy))}, but the API server"
        " calls from elsewhere",
        policy.namespace,
        evidence=_each_source("the API server calls from", context.verdicts.cluster.sources),
        consequence=silence_of(context, losses) if losses else "a webhook that is served here is not reached",
        repair=_mended(context, policy),
        own_severity=severity_of(losses) if losses else unjudged,
    )


def _member(context: Context, namespace: str, operators: Sequence[Policy], losses: Sequence[Loss]) -> Finding:
    missing = dict.fromkeys(loss.flow.source for loss in losses if loss.flow.source is not None)
    names = listed(dict.fromkeys(policy.name for policy in operators)) or "the policies"
    let_in = [source for source in context.verdicts.cluster.sources if source not in missing]
    return Finding(
        Check.API_SERVER_MEMBER_NOT_ALLOWED,
        f"{names} of {namespace} does not let in {listed(map(source_words, missing))}",
        namespace,
        evidence=_each_source("let in is", let_in),
        consequence=f"calls of this member of the control plane: {silence_of(context, losses)}",
        repair=_mended(context, operators[0]) if operators else repairs.baselines(namespace),
        own_severity=severity_of(losses),
    )


def _stale(context: Context, policy: Policy, addresses: IntervalSet) -> Finding:
    sources = context.verdicts.cluster.sources
    # Guesses may miss where the calls really come from; then the address in the policy may be the right one.
    is_sure = any(source.provenance is not Provenance.GUESSED for source in sources)
    return Finding(
        Check.API_SERVER_STALE_ADDRESS,
        f"{policy.name} of {policy.namespace} lets in {addresses_words(addresses)}, from where no call"
        " of the API server comes",
        policy.namespace,
        evidence=_each_source("known is", sources),
        consequence="whoever has that address now may talk to the webhook; none of IOMETE's traffic is cut",
        repair=_mended(context, policy) if is_sure else None,
        own_severity=None if is_sure else FindingSeverity.NOTE,
    )


def _each_source(words: str, sources: Iterable[Source]) -> tuple[str, ...]:
    return tuple(f"{words} {source_words(source)}" for source in sources)


def _mended(context: Context, policy: Policy) -> Repair:
    """Return the repair that gives ``policy`` all known sources, where bootstrap would write such a one."""
    for text in written_baselines(context.verdicts.cluster, policy.namespace):
        if text.pods == policy.pods and text.name != MANAGED_NAME:
            return repairs.restored(replace(text, name=policy.name))
    return repairs.baselines(policy.namespace)


def _known_addresses(context: Context) -> IntervalSet:
    sources = context.verdicts.cluster.sources
    return IntervalSet.union(source.addresses for source in sources if source.addresses is not None)


def _let_in(policy: Policy) -> IntervalSet:
    """Return the addresses that the ingress rules name."""
    return IntervalSet.union(rule.peers.addresses for rule in policy.ingress if rule.peers is not None)
