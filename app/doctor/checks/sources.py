"""The API server's addresses in the policies, against those that are known.

A control plane has several members, and addresses change on upgrades: each known source must be let in to
each webhook, and what is let in should be a source (``docs/design/sources.md``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from app.doctor import consequences, repairs
from app.doctor.context import Context
from app.doctor.findings import Area, Check, Finding, Severity
from app.doctor.losses import severity_of
from app.doctor.repairs import Repair
from app.doctor.verdicts import Verdict, Verdicts
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
from app.engine.requirements import FlowId
from app.engine.words import addresses_words, listed, peer_words
from app.model.measured_sources import stamp


@dataclass(frozen=True, slots=True)
class SourceFinding:
    """A finding about addresses, and the losses that it explains."""

    finding: Finding
    losses: tuple[Loss, ...] = ()


def examine_sources(context: Context) -> Iterator[Finding]:
    """Yield what is wrong with what is known of the API server's addresses."""
    sources = context.verdicts.cluster.sources
    if sources:
        context.say_fine(f"the API server calls from {listed(map(source_words, sources))}")
    elif context.can_tell("endpointslices", "nodes"):
        yield Finding(
            Check.API_SERVER_UNKNOWN,
            Severity.WARNING,
            Area.API_SERVER,
            "API server",
            "nobody knows from which addresses the API server calls webhooks",
            evidence=("no EndpointSlice of default/kubernetes, no control-plane node, nothing declared",),
            consequence="whether it reaches the webhooks cannot be judged",
            repair=repairs.advice(
                "declare them", "netpol-guard bootstrap --baselines-only --api-server ADDRESS"
            ),
        )

    yield from _unmatchable(context)
    yield from _unknown_peers(context)


def _unmatchable(context: Context) -> Iterator[Finding]:
    limit = context.survey.limit
    if limit is None:
        return
    yield Finding(
        Check.API_SERVER_UNMATCHABLE,
        Severity.ERROR,
        Area.API_SERVER,
        "API server",
        "no NetworkPolicy can let the API server in: Cilium does not match nodes by ipBlock here",
        evidence=(limit.why, *(f"a source is {source_words(one)}" for one in limit.sources)),
        consequence="the baselines cut every webhook of IOMETE off, although they name the API server",
        repair=repairs.advice(
            limit.how,
            "kubectl -n kube-system patch configmap cilium-config --type=merge"
            """ -p '{"data":{"policy-cidr-match-mode":"nodes"}}'"""
            " && kubectl -n kube-system rollout restart daemonset cilium",
        ),
    )


def _unknown_peers(context: Context) -> Iterator[Finding]:
    known = IntervalSet.union(_addresses(one) for one in context.verdicts.cluster.sources)
    for one in context.survey.unknown_peers:
        if place_of(one.address) in known:
            continue
        yield Finding(
            Check.API_SERVER_UNKNOWN_PEER,
            Severity.WARNING,
            Area.API_SERVER,
            "API server",
            f"the guard was called from {one.address}, which no known source covers",
            evidence=(f"seen from {stamp(one.first_seen)} to {stamp(one.last_seen)}",),
            consequence="if it is a member of the control plane, a policy may cut it off without a word;"
            " if not, somebody else reaches the guard's port, which does no harm by itself",
            repair=repairs.advice(
                "measure again; what is an API server's then becomes a source",
                "netpol-guard bootstrap --image IMAGE",
            ),
        )


def source_words(source: Source) -> str:
    """Return a source in words: where, and how it is known."""
    where = peer_words(source.pods) if source.pods is not None else addresses_words(_addresses(source))
    return f"{where} ({source.provenance.value}: {source.origin})"


def operator_like(policy: Policy, verdicts: Verdicts) -> bool:
    """Tell whether a policy is there for the webhook's pods: by its name, or by what it selects."""
    if not policy.isolates(Direction.INGRESS) or policy.name == MANAGED_NAME:
        return False
    selectors = (DOCUMENTED_OPERATOR, *operator_selectors(verdicts.cluster, policy.namespace))
    return policy.name.startswith(OPERATOR_NAME) or (
        policy.pods in selectors and bool(_let_in(policy)) and bool(policy.pods.terms)
    )


def source_findings(context: Context, verdict: Verdict) -> Iterator[SourceFinding]:
    """Yield what is wrong with the addresses in the policies of one namespace."""
    operators = [one for one in verdict.policies if operator_like(one, context.verdicts)]
    losses = [one for one in verdict.losses if one.flow.id is FlowId.WEBHOOK_INGRESS]
    known = IntervalSet.union(_addresses(one) for one in context.verdicts.cluster.sources)
    foreign = {one.name: _let_in(one) - known for one in operators if not one.terminating}
    wrong = [one for one in operators if foreign.get(one.name) and not _let_in(one) & known]
    lost = {id(one.flow.source) for one in losses}
    required = {id(one.source) for one in verdict.flows if one.id is FlowId.WEBHOOK_INGRESS}
    if wrong and lost == required and context.verdicts.cluster.sources:
        yield _wrong(context, verdict, wrong[0], losses)
        return
    if losses and lost < required:
        yield _member(context, verdict, operators, losses)
    for policy in operators if known else ():
        if foreign.get(policy.name):
            yield _stale(context, policy, foreign[policy.name])


def _wrong(context: Context, verdict: Verdict, policy: Policy, losses: Sequence[Loss]) -> SourceFinding:
    sources = context.verdicts.cluster.sources
    finding = Finding(
        Check.API_SERVER_WRONG_ADDRESS,
        severity_of(losses) if losses else _unjudged(context, verdict.namespace),
        Area.API_SERVER,
        f"namespace {verdict.namespace}",
        f"{policy.name} of {verdict.namespace} lets in {addresses_words(_let_in(policy))}, but the API server"
        " calls from elsewhere",
        verdict.namespace,
        tuple(f"the API server calls from {source_words(one)}" for one in sources),
        _silence(context, losses) if losses else "a webhook that is served here is not reached",
        _mended(context, policy),
    )
    return SourceFinding(finding, tuple(losses))


def _unjudged(context: Context, namespace: str) -> Severity:
    """Return how grave a wrong address is where no flow is judged: a webhook may be broken in other ways."""
    serves = any(one.client.namespace == namespace for one in context.survey.registrations)
    return Severity.ERROR if serves else Severity.WARNING


def _member(
    context: Context, verdict: Verdict, operators: Sequence[Policy], losses: Sequence[Loss]
) -> SourceFinding:
    missing = _sources(losses)
    names = listed(dict.fromkeys(one.name for one in operators)) or "the policies"
    let_in = [one for one in context.verdicts.cluster.sources if one not in missing]
    finding = Finding(
        Check.API_SERVER_MEMBER_NOT_ALLOWED,
        severity_of(losses),
        Area.API_SERVER,
        f"namespace {verdict.namespace}",
        f"{names} of {verdict.namespace} does not let in {listed(map(source_words, missing))}",
        verdict.namespace,
        tuple(f"let in is {source_words(one)}" for one in let_in),
        f"calls of this member of the control plane: {_silence(context, losses)}",
        _mended(context, operators[0]) if operators else repairs.baselines(verdict.namespace),
    )
    return SourceFinding(finding, tuple(losses))


def _stale(context: Context, policy: Policy, addresses: IntervalSet) -> SourceFinding:
    sources = context.verdicts.cluster.sources
    # Guesses may miss where the calls really come from; then the address in the policy may be the right one.
    is_sure = any(one.provenance is not Provenance.GUESSED for one in sources)
    return SourceFinding(
        Finding(
            Check.API_SERVER_STALE_ADDRESS,
            Severity.WARNING if is_sure else Severity.NOTE,
            Area.API_SERVER,
            f"namespace {policy.namespace}",
            f"{policy.name} of {policy.namespace} lets in {addresses_words(addresses)}, from where no call"
            " of the API server comes",
            policy.namespace,
            tuple(f"known is {source_words(one)}" for one in sources),
            "whoever has that address now may talk to the webhook; none of IOMETE's traffic is cut",
            _mended(context, policy) if is_sure else None,
        )
    )


def _mended(context: Context, policy: Policy) -> Repair:
    """Return the repair that gives ``policy`` all known sources, where bootstrap would write such a one."""
    written = written_baselines(context.verdicts.cluster, policy.namespace)
    same = [one for one in written if one.pods == policy.pods and one.name != MANAGED_NAME]
    if same:
        return repairs.restored(replace(same[0], name=policy.name))
    return repairs.baselines(policy.namespace)


def _silence(context: Context, losses: Iterable[Loss]) -> str:
    keys = {(one.flow.namespace, one.flow.webhook.name) for one in losses if one.flow.webhook is not None}
    registered = context.survey.registrations
    return consequences.of_silence(
        one for one in registered if (one.client.namespace, one.client.service) in keys
    )


def _sources(losses: Iterable[Loss]) -> tuple[Source, ...]:
    return tuple(dict.fromkeys(one.flow.source for one in losses if one.flow.source is not None))


def _addresses(source: Source) -> IntervalSet:
    return source.addresses if source.addresses is not None else IntervalSet()


def _let_in(policy: Policy) -> IntervalSet:
    """Return the addresses that the ingress rules name."""
    return IntervalSet.union(one.peers.addresses for one in policy.ingress if one.peers is not None)
