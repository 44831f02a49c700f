"""Namespaces that look like IOMETE's but do not carry the label by which everything selects them."""

from __future__ import annotations

from collections.abc import Iterator

from app.doctor import repairs
from app.doctor.context import Context, by_service
from app.doctor.findings import Check, Finding, FindingSeverity
from app.engine.baselines import MANAGED_NAME, OPERATOR_NAME
from app.engine.cluster import MANAGED_LABEL, MANAGED_VALUE
from app.engine.policy import Namespace
from app.engine.words import listed

_PREFIX = "iomete.com/"
_OPERATOR = "spark-operator"


def examine_labels(context: Context) -> Iterator[Finding]:
    """Yield the namespaces that are probably meant to be managed and are not."""
    serving = {key[0]: key[1] for key in by_service(context.survey.registrations) if _OPERATOR in key[1]}
    for name, namespace in sorted(context.verdicts.cluster.namespaces.items()):
        if name in context.verdicts.guarded or namespace.terminating or not context.includes(name):
            continue
        if name == context.product.namespace:
            continue
        clues = tuple(_clues(context, namespace, serving))
        if clues or name in context.only:
            yield _finding(name, clues)


def _clues(context: Context, namespace: Namespace, serving: dict[str, str]) -> Iterator[str]:
    value = namespace.labels.get(MANAGED_LABEL)
    if value is not None:
        yield f"its label {MANAGED_LABEL} is {value!r}, and only {MANAGED_VALUE!r} counts"
    others = [key for key in namespace.labels if key.startswith(_PREFIX) and key != MANAGED_LABEL]
    if others:
        yield f"it carries {listed(sorted(others))}"
    if namespace.name in serving:
        yield f"it serves the webhook {serving[namespace.name]}"
    policies = context.verdicts.cluster.policies.get(namespace.name, ())
    names = (policy.name for policy in policies)
    documented = [name for name in names if name == MANAGED_NAME or name.startswith(OPERATOR_NAME)]
    if documented:
        yield f"it holds {listed(documented)}"
    if namespace.name == "iomete" or namespace.name.startswith("iomete-"):
        yield "its name begins with iomete"


def _finding(name: str, clues: tuple[str, ...]) -> Finding:
    label = f"the label {MANAGED_LABEL}={MANAGED_VALUE}"
    repair = repairs.labelled(name, MANAGED_LABEL, MANAGED_VALUE)
    if not clues:
        return Finding(
            Check.LABEL_MISSING,
            f"{name} is not one of the platform's namespaces: it lacks {label}",
            name,
            evidence=("it was asked for by name, and nothing else in it looks like IOMETE's",),
            consequence="nothing is required of it, so nothing was checked",
            repair=repair,
            own_severity=FindingSeverity.NOTE,
        )
    return Finding(
        Check.LABEL_MISSING,
        f"{name} looks like IOMETE's but lacks {label}",
        name,
        evidence=clues,
        consequence="no baseline lets its pods in or out: jobs there fail as soon as a policy isolates a pod,"
        " and the guard does not watch it",
        repair=repair,
        own_severity=FindingSeverity.ERROR if len(clues) > 1 else FindingSeverity.WARNING,
    )
