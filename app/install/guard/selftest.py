"""Whether the guard, as the API server calls it, really decides: two dry runs in a managed namespace.

A baseline that is emptied must be rejected; a ``default-deny`` beside the baselines must be admitted, with
the news that it has no effect. Dry runs leave nothing behind.
"""

from __future__ import annotations

import secrets

from app.engine.baselines import BaselineKind, recognise
from app.engine.cluster import Cluster
from app.errors import ChangeFailed
from app.install.guard.attempts import attempts
from app.install.policies.stored import by_namespace
from app.install.ports import Clock, GuardSettings, Store
from app.model.kinds import NETWORK_POLICY, DryRun, Manifest, Reference
from app.names import MODE_LABEL, POLICIES_WEBHOOK

_ENFORCE = "enforce"
_NO_EFFECT = "has no effect"
_HOW = (
    "look at the guard's log (kubectl logs -n netpol-guard -l app.kubernetes.io/name=netpol-guard) and at its"
    " webhook configuration, and run this again"
)


class SelfTest:
    """Tests the guard in one namespace after the other."""

    def __init__(self, store: Store, clock: Clock, cluster: Cluster, settings: GuardSettings) -> None:
        self._store = store
        self._clock = clock
        self._cluster = cluster
        self._settings = settings

    def run(self, namespace: str, seconds: float) -> str:
        """Return that the guard decides as it should in ``namespace``; a new webhook gets ``seconds`` for it.

        Raises ``ChangeFailed`` with what it did instead.
        """
        mode = self._mode(namespace)
        if namespace in self._settings.exempt or mode not in (_ENFORCE, "warn"):
            return f"left out: {'exempt' if namespace in self._settings.exempt else f'mode {mode}'}"
        for is_last in attempts(self._clock, seconds):
            try:
                self._demand_refusal(namespace, mode)
                self._demand_no_effect(namespace)
                break
            except ChangeFailed:
                if is_last:
                    raise
        return "passed" if mode == _ENFORCE else f"passed, in mode {mode}: nothing is rejected here"

    def _mode(self, namespace: str) -> str:
        found = self._cluster.namespaces.get(namespace)
        return (found.labels.get(MODE_LABEL) if found is not None else None) or self._settings.mode

    def _demand_refusal(self, namespace: str, mode: str) -> None:
        baseline = self._baseline(namespace)
        what, said = f"a dry run that empties {baseline}", self._said_to_emptying(baseline)
        if mode == _ENFORCE and not (POLICIES_WEBHOOK in said and "would cut" in said):
            raise _failed(what, "was not rejected by the guard", said)
        if "would cut" not in said:
            raise _failed(what, "brought no warning", said)

    def _baseline(self, namespace: str) -> Reference:
        for stored in by_namespace(self._store.list(NETWORK_POLICY, namespace)).get(namespace, ()):
            found = recognise(stored.policy, self._cluster)
            if found is not None and found.kind is BaselineKind.MANAGED:
                return stored.reference
        raise ChangeFailed(f"test the guard in {namespace}", "the baseline is gone", "run this again")

    def _said_to_emptying(self, baseline: Reference) -> str:
        try:
            written = self._store.merge(baseline, {"spec": {"ingress": []}}, DryRun.ALL)
        except ChangeFailed as error:
            return error.said or str(error)
        return " ".join(written.warnings)

    def _demand_no_effect(self, namespace: str) -> None:
        said = " ".join(self._store.create(_default_deny(namespace), DryRun.ALL).warnings)
        if self._settings.tells_no_effect and _NO_EFFECT not in said:
            raise _failed(f"a dry run of a default-deny in {namespace}", "brought no word of the guard", said)


def _failed(what: str, instead: str, said: str) -> ChangeFailed:
    told = f" (said: {said})" if said else ""
    return ChangeFailed("pass the self-test", f"{what} {instead}{told}", _HOW)


def _default_deny(namespace: str) -> Manifest:
    reference = Reference(NETWORK_POLICY, f"netpol-guard-selftest-{secrets.token_hex(4)}", namespace)
    return reference.manifest(spec={"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})
