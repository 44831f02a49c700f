"""How a finding about the guard looks."""

from __future__ import annotations

from app.doctor import consequences
from app.doctor.findings import Area, Check, Finding, Severity
from app.doctor.repairs import Repair


def guard_finding(
    check: Check,
    severity: Severity,
    title: str,
    *,
    namespace: str = "",
    evidence: tuple[str, ...] = (),
    consequence: str = consequences.GUARD_BLIND,
    repair: Repair | None = None,
) -> Finding:
    """Return a finding about the guard, or about what it is told of one namespace."""
    subject = f"namespace {namespace}" if namespace else "guard"
    return Finding(check, severity, Area.GUARD, subject, title, namespace, evidence, consequence, repair)
