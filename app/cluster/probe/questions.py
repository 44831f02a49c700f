"""What is asked in a probe: dry runs that a guard is called for, and that take nothing away from anybody."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Protocol

from app.cluster.client.errors import Purpose
from app.cluster.client.objects import Objects
from app.model.kinds import NAMESPACE, NETWORK_POLICY, DryRun, Reference, Written
from app.model.probe import PROBE_ANNOTATION, PROBE_VERB, namespace_probe
from app.names import NAME, OURS

WHAT = "where the API server's calls come from"


class Question(Protocol):
    """One way to ask; ``str`` says where."""

    @property
    def right(self) -> Purpose:
        """What it needs the verb ``probe`` for."""
        ...

    def ask(self, objects: Objects, nonce: str) -> Written:
        """Send the dry run with ``nonce``. Raises ``ChangeFailed``."""
        ...


@dataclass(frozen=True, slots=True)
class PolicyQuestion:
    """A new policy in a managed namespace that lets all traffic in, everywhere: what anybody can ask."""

    namespace: str

    @property
    def right(self) -> Purpose:
        """What it needs the verb ``probe`` for."""
        return Purpose(WHAT, PROBE_VERB, NETWORK_POLICY.group, NETWORK_POLICY.resource, self.namespace)

    def ask(self, objects: Objects, nonce: str) -> Written:
        """Send the dry run with ``nonce``. Raises ``ChangeFailed``."""
        reference = Reference(NETWORK_POLICY, f"netpol-guard-probe-{secrets.token_hex(4)}", self.namespace)
        marks = {"labels": dict([OURS]), "annotations": {PROBE_ANNOTATION: nonce}}
        spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}
        return objects.create(reference.manifest(marks, spec=spec), DryRun.ALL)

    def __str__(self) -> str:
        return f"namespace {self.namespace}"


@dataclass(frozen=True, slots=True)
class OwnNamespaceQuestion:
    """A change of the guard's own namespace: what the guard alone can ask, without a managed one."""

    guard_namespace: str = NAME

    @property
    def right(self) -> Purpose:
        """What it needs the verb ``probe`` for."""
        return Purpose(WHAT, PROBE_VERB, NAMESPACE.group, NAMESPACE.resource, self.guard_namespace)

    def ask(self, objects: Objects, nonce: str) -> Written:
        """Send the dry run with ``nonce``. Raises ``ChangeFailed``."""
        return objects.merge(Reference(NAMESPACE, self.guard_namespace), namespace_probe(nonce), DryRun.ALL)

    def __str__(self) -> str:
        return f"namespace {self.guard_namespace}"
