"""What is let past the guard on somebody's word: settings, mode labels, override annotations."""

from __future__ import annotations

from collections.abc import Iterator

from app.doctor import consequences, repairs
from app.doctor.context import Context
from app.doctor.findings import Check, Finding
from app.doctor.repairs import Repair
from app.engine.words import listed
from app.model.kinds import NAMESPACE, NETWORK_POLICY, Reference
from app.names import MODE_LABEL, OVERRIDE_ANNOTATION

_ENFORCE = "enforce"


def examine_bypasses(context: Context) -> Iterator[Finding]:
    """Yield whatever the guard lets through on somebody's word."""
    yield from _settings(context)
    yield from _mode_labels(context)
    yield from _overrides(context)


def _settings(context: Context) -> Iterator[Finding]:
    bypasses, product = context.bypasses, context.product
    edit = f"kubectl edit configmap {product.name}-settings -n {product.namespace}"
    if bypasses.problem:
        yield Finding(
            Check.GUARD_SETTINGS,
            f"its settings cannot be read: {bypasses.problem}",
            evidence=(f"ConfigMap {product.namespace}/{product.name}-settings",),
            consequence="a guard that starts anew with them does not start",
            repair=Repair("correct them", edit),
        )
    if bypasses.mode != _ENFORCE:
        yield Finding(
            Check.GUARD_MODE,
            f"it rejects nothing: its mode is {bypasses.mode}",
            evidence=("mode in its settings",),
            consequence=consequences.GUARD_BLIND,
            repair=Repair("set mode: enforce", edit),
        )
    for words, link, names in (
        ("users", "of", bypasses.users),
        ("groups", "of", bypasses.groups),
        ("namespaces", "in", bypasses.namespaces),
    ):
        if names:
            yield Finding(
                Check.GUARD_EXEMPT,
                f"changes {link} these {words} are not judged: {listed(names)}",
                evidence=(f"exempt.{words} in its settings",),
                consequence=consequences.GUARD_BLIND,
                repair=Repair("take them out", edit),
            )


def _mode_labels(context: Context) -> Iterator[Finding]:
    for name in sorted(context.verdicts.guarded):
        mode = context.verdicts.cluster.namespaces[name].labels.get(MODE_LABEL, _ENFORCE)
        if mode != _ENFORCE and context.includes(name):
            yield Finding(
                Check.GUARD_MODE,
                f"the guard rejects nothing in namespace {name}: its mode label says {mode}",
                name,
                evidence=(f"label {MODE_LABEL}={mode}",),
                consequence=consequences.GUARD_BLIND,
                repair=repairs.unlabelled(name, MODE_LABEL),
            )


def _overrides(context: Context) -> Iterator[Finding]:
    for found in context.survey.overrides:
        namespace = found.namespace or found.name
        if not context.includes(namespace):
            continue
        place = f" -n {found.namespace}" if found.namespace else ""
        kind = NETWORK_POLICY if found.namespace else NAMESPACE
        name = f"{found.namespace}/{found.name}" if found.namespace else found.name
        yield Finding(
            Check.GUARD_OVERRIDE,
            f"{found.kind} {name} carries the override annotation",
            namespace,
            evidence=(f"reason given: {found.reason or '(none)'}",),
            consequence="whoever may override can change it past the guard; it should go when the exception"
            " ends",
            repair=Repair(
                f"take the annotation from {name}",
                f"kubectl annotate {kind.name.lower()} {found.name}{place} {OVERRIDE_ANNOTATION}-",
                repairs.MergePatch(
                    Reference(kind, found.name, found.namespace),
                    {"metadata": {"annotations": {OVERRIDE_ANNOTATION: None}}},
                ),
            ),
        )
