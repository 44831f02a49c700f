"""What a guard in a cluster does for itself, over and over: certificates, and its configuration's two fields.

``failurePolicy`` is raised to ``Fail`` only when the API server has just been seen to reach a guard through
this very configuration: a dry run on the guard's own namespace, which changes nothing, comes back with a
guard's answer to a nonce. The annotation ``netpol-guard.iomete.com/failure-policy`` on the configuration goes
before the setting ``webhook.failurePolicy``: ``Ignore`` there keeps it down until it is taken away.
"""

from __future__ import annotations

from enum import Enum
from http import HTTPStatus

from app.certificates.configuration import CONFIGURATION, OwnConfiguration, apply_patch, configuration_of
from app.certificates.ports import ClusterObjects, ReconcileCounters
from app.certificates.rotator import CertificateRotator
from app.errors import ChangeFailed
from app.logs import EventLog
from app.model.kinds import NAMESPACE, DryRun, Reference
from app.model.probe import namespace_probe, new_nonce, read_answer
from app.names import NAME, FailurePolicy

_LOG = EventLog("app.certificates")


class Result(Enum):
    """How one reconciliation ended."""

    CHANGED = "something was changed"
    WAITING = "something is not as it is wanted yet"
    SETTLED = "all is as it should be"


class Reconciler:
    """Looks after what is the guard's own; every replica does, and conflicts between them are harmless.

    ``rotator`` is None where certificates, and with them the bundle, are somebody else's work (cert-manager).
    """

    def __init__(
        self,
        objects: ClusterObjects,
        rotator: CertificateRotator | None,
        policy: FailurePolicy,
        counters: ReconcileCounters,
    ) -> None:
        self._objects = objects
        self._rotator = rotator
        self._policy = policy
        self._counters = counters
        self._said = ""

    @property
    def missing(self) -> str | None:
        """What stands in the way of the first handshake, None from when there is nothing any more."""
        return None if self._rotator is None else self._rotator.missing

    def reconcile(self) -> Result:
        """Look at everything once, and repair what can be repaired. Blocks.

        Raises ``StateUnreadable`` and ``ChangeFailed``.
        """
        try:
            return self._round()
        except ChangeFailed as error:
            if error.status == HTTPStatus.CONFLICT:  # another replica was quicker: look again
                return Result.CHANGED
            raise

    def _round(self) -> Result:
        # The configuration first: what is then read of the Secret is at least as new as the bundle in it, and
        # the bundle is written on condition that nobody else has written one since.
        found = self._read()
        bundle = None
        if self._rotator is not None:
            bundle = self._rotator.refresh(found)
            self._rotator.adopt(found)
        if found is None:
            self._say_once("no webhook configuration of ours: nothing is judged", name=str(CONFIGURATION))
            return Result.SETTLED
        if bundle is not None and not found.has_bundle(bundle):
            self._apply(found.with_bundle(bundle), "caBundle")
            return Result.CHANGED
        policy = self._policy_for(found)
        if policy is None:
            return Result.WAITING
        if not found.has_policy(policy):
            self._apply(found.with_policy(policy), f"failurePolicy {policy.value}")
            return Result.CHANGED
        return Result.SETTLED

    def _read(self) -> OwnConfiguration | None:
        manifest = self._objects.get(CONFIGURATION)
        found = None if manifest is None else configuration_of(manifest)
        return found if found is not None and found.webhooks else None

    def _apply(self, wanted: OwnConfiguration, what: str) -> None:
        self._objects.apply(apply_patch(wanted, owns_bundle=self._rotator is not None), force=True)
        _LOG.info("webhook configuration written", what=what, last_set_by=list(wanted.others))
        self._counters.record_reconcile(f"configuration: {what}")
        self._said = ""

    def _policy_for(self, configuration: OwnConfiguration) -> FailurePolicy | None:
        """Return the policy that is to stand there now, None while the guard is not seen to be reached."""
        wanted = configuration.wanted or self._policy
        if wanted is FailurePolicy.IGNORE or configuration.has_policy(wanted):
            return wanted
        why = self._unreached() if configuration.trusted else "there is no caBundle yet"
        if why is None:
            return wanted
        self._say_once("failurePolicy is not raised yet", why=why)
        return None

    def _unreached(self) -> str | None:
        """Return why no review is seen to arrive through the configuration, None if one was just answered."""
        nonce = new_nonce()
        try:
            answer = self._objects.merge(Reference(NAMESPACE, NAME), namespace_probe(nonce), DryRun.ALL)
        except ChangeFailed as error:
            return str(error)
        is_reached = read_answer(answer.warnings, nonce) is not None
        return None if is_reached else "the API server does not reach a guard yet"

    def _say_once(self, event: str, **facts: str) -> None:
        said = f"{event} {facts}"
        if said != self._said:
            _LOG.warning(event, **facts)
            self._said = said
