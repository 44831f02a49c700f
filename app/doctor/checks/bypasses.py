"""What is let past the guard on somebody's word: settings, mode labels, override annotations."""

from __future__ import annotations

from collections.abc import Iterator

from app.doctor import repairs
from app.doctor.checks.guard_findings import guard_finding
from app.doctor.context import Context
from app.doctor.findings import Check, Finding, Severity
from app.doctor.repairs import Repair
from app.engine.words import listed
from app.model.kinds import NAMESPACE, NETWORK_POLICY, Reference
from app.model.survey import OverriddenObject
from app.names import MODE_LABEL, OVERRIDE_ANNOTATION

_ENFORCE = "enforce"


def examine_bypasses(context: Context) -> Iterator[Finding]:
    """Yield whatever the guard lets through on somebody's word."""
    bypasses, product = context.bypasses, context.product
    edit = f"kubectl edit configmap {product.name}-settings -n {product.namespace}"
    if bypasses.problem:
        yield guard_finding(
            Check.GUARD_SETTINGS,
            Severity.WARNING,
            f"its settings cannot be read: {bypasses.problem}",
            evidence=(f"ConfigMap {product.namespace}/{product.name}-settings",),
            consequence="a guard that starts anew with them does not start",
            repair=repairs.advice("correct them", edit),
        )
    if bypasses.mode != _ENFORCE:
        yield guard_finding(
            Check.GUARD_MODE,
            Severity.WARNING,
            f"it rejects nothing: its mode is {bypasses.mode}",
            evidence=("mode in its settings",),
            repair=repairs.advice("set mode: enforce", edit),
        )
    for words, names in (
        ("users", bypasses.users),
        ("groups", bypasses.groups),
        ("namespaces", bypasses.namespaces),
    ):
        if names:
            yield guard_finding(
                Check.GUARD_EXEMPT,
                Severity.WARNING,
                f"changes of these {words} are not judged: {listed(names)}"
                if words != "namespaces"
                else f"changes in these namespaces are not judged: {listed(names)}",
                evidence=(f"exempt.{words} in its settings",),
                repair=repairs.advice("take them out", edit),
            )
    yield from _mode_labels(context)
    yield from _overrides(context)


def _mode_labels(context: Context) -> Iterator[Finding]:
    for name in sorted(context.verdicts.guarded):
        mode = context.verdicts.cluster.namespaces[name].labels.get(MODE_LABEL, _ENFORCE)
        if mode != _ENFORCE and context.includes(name):
            yield guard_finding(
                Check.GUARD_MODE,
                Severity.WARNING,
                f"the guard rejects nothing in namespace {name}: its mode label says {mode}",
                namespace=name,
                evidence=(f"label {MODE_LABEL}={mode}",),
                repair=repairs.unlabelled(name, MODE_LABEL),
            )


def _overrides(context: Context) -> Iterator[Finding]:
    for one in context.survey.overrides:
        if context.includes(one.namespace or one.name):
            yield _overridden(one)


def _overridden(one: OverriddenObject) -> Finding:
    place = f" -n {one.namespace}" if one.namespace else ""
    kind = NETWORK_POLICY if one.namespace else NAMESPACE
    name = f"{one.namespace}/{one.name}" if one.namespace else one.name
    return guard_finding(
        Check.GUARD_OVERRIDE,
        Severity.WARNING,
        f"{one.kind} {name} carries the override annotation",
        namespace=one.namespace or one.name,
        evidence=(f"reason given: {one.reason or '(none)'}",),
        consequence="whoever may override can change it past the guard; it should go when the exception ends",
        repair=Repair(
            f"take the annotation from {name}",
            f"kubectl annotate {kind.name.lower()} {one.name}{place} {OVERRIDE_ANNOTATION}-",
            repairs.MergePatch(
                Reference(kind, one.name, one.namespace),
                {"metadata": {"annotations": {OVERRIDE_ANNOTATION: None}}},
            ),
        ),
    )
