"""Keeps the certificates: reads the Secret, takes the step that is due, serves what API servers trust by now.

Every replica does the same, without a leader: a write holds only for the version that was read, so that of
two who take the same step one is told so and looks again. The Secret is read through the API rather than
mounted: a replica that starts has the newest one at once (a mount may lag by a minute and more, and an absent
Secret would hold up the Pod), and no key lies in a file system.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from app.certificates.configuration import OwnConfiguration
from app.certificates.expiry import validity_of
from app.certificates.handshake import rejection
from app.certificates.pairs import UnusableAuthority, bundle_of
from app.certificates.ports import CertificateServer, ClusterObjects, ReconcileCounters
from app.certificates.renewal import Announcement, Holding, Lifetimes, View, begin, due, is_published, take
from app.certificates.secret import UnusableSecret, holding_of, is_ours, secret_with
from app.errors import ChangeFailed, StateUnreadable
from app.logs import EventLog
from app.model.kinds import POD, SECRET, Manifest, Reference
from app.names import NAME, NAME_LABEL, SERVICE_HOST, SERVING_ANNOTATION, TLS_SECRET

_LOG = EventLog("app.certificates")
_SECRET = Reference(SECRET, TLS_SECRET, NAME)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What the rotator works with: objects, server, counters, the Pod it runs in, and the clock."""

    objects: ClusterObjects
    server: CertificateServer
    counters: ReconcileCounters
    pod: str
    clock: Callable[[], datetime]


class CertificateRotator:
    """The certificates of one replica; call ``refresh`` and ``adopt`` in turn, from one thread at a time."""

    def __init__(self, dependencies: Dependencies, lifetimes: Lifetimes) -> None:
        self._dependencies = dependencies
        self._lifetimes = lifetimes
        self._since: dict[str, datetime] | None = None
        self._holding: Holding | None = None
        self._version = ""
        self._served: Holding | None = None
        self._announced: Announcement | None = None
        self._is_trusted = False

    @property
    def missing(self) -> str | None:
        """What stands in the way of the first handshake, None from when there is nothing any more."""
        if self._is_trusted:
            return None
        return "no certificate yet" if self._served is None else "API servers do not trust it yet"

    def refresh(self, configuration: OwnConfiguration | None) -> bytes:
        """Bring the Secret up to date; return the bundle that is to be published.

        ``configuration`` must have been read before the call. Raises ``StateUnreadable``, and
        ``ChangeFailed`` with status 409 where another replica was quicker.
        """
        self._note(configuration)
        published = b"" if configuration is None else configuration.bundle
        holding = self._holding = self._read(published)
        own = Announcement("" if self._served is None else self._served.issuer, holding.knowledge)
        step = due(holding, self._view(configuration, own, *self._others()), self._lifetimes)
        if step is not None:
            try:
                holding = take(step, holding, self._dependencies.clock(), self._lifetimes)
            except UnusableAuthority as error:
                event = "the Secret's authority cannot be used; a new one takes its place"
                _LOG.warning(event, why=str(error))
                holding = self._begun(bundle_of((published, holding.bundle)))
            self._holding = self._written(holding, step.name.lower())
        end = validity_of(holding.authority.certificate).end
        self._dependencies.counters.set_authority_expiry(end.timestamp())
        return holding.bundle

    def adopt(self, configuration: OwnConfiguration | None) -> None:
        """Serve what the Secret holds, if API servers trust it by now, and tell the other replicas.

        ``configuration`` is what is published at this moment.
        """
        self._note(configuration)
        holding = self._holding
        if holding is None:
            return
        served = self._served
        if (served is None or served.serving != holding.serving) and self._may_serve(configuration, holding):
            self._dependencies.server.take(holding.serving)
            self._served = served = holding
        if served is not None:
            self._is_trusted = self._is_trusted or self._is_published(configuration, served)
            self._announce(Announcement(served.issuer, holding.knowledge))

    def _may_serve(self, configuration: OwnConfiguration | None, holding: Holding) -> bool:
        """Tell whether a change to what the Secret holds is no loss."""
        now = self._dependencies.clock()
        if self._served is None or validity_of(self._served.serving.certificate).end <= now:
            return True
        # Made by a replica whose clock is ahead: API servers, with the time as it is, would not take it yet.
        if any(validity_of(pair.certificate).start > now for pair in (holding.serving, holding.authority)):
            return False
        if configuration is None:
            return True
        if not self._is_published(configuration, holding):
            return False
        return rejection(holding.serving, configuration.bundle, SERVICE_HOST) is None

    def _is_published(self, configuration: OwnConfiguration | None, holding: Holding) -> bool:
        return is_published(holding.issuer, self._view(configuration), self._lifetimes)

    def _view(self, configuration: OwnConfiguration | None, *replicas: Announcement) -> View:
        return View(self._dependencies.clock(), None if configuration is None else self._since, replicas)

    def _begun(self, published: bytes) -> Holding:
        return begin(published, self._dependencies.clock(), self._lifetimes)

    def _note(self, configuration: OwnConfiguration | None) -> None:
        """Remember since when each authority has been published, as far as this process saw.

        Of several that it finds at its first look it knows when the guard last wrote. A single one counts at
        once: it was there before the others went. So does the first bundle that there is at all.
        """
        if configuration is None:
            self._since = {}
            return
        known, since = self._since or {}, _LONG_AGO
        if known:
            since = self._dependencies.clock()
        elif self._since is None and len(configuration.trusted) > 1:
            since = configuration.written or _LONG_AGO
        self._since = {authority: known.get(authority, since) for authority in configuration.trusted}

    # -- the Secret ----------------------------------------------------------------------------------------

    def _read(self, published: bytes) -> Holding:
        """Return what the Secret holds now; made anew where it is absent or damaged."""
        secret = self._dependencies.objects.get(_SECRET)
        if secret is None:
            self._version = ""
            return self._written(self._begun(published), "create")
        if not is_ours(secret):
            raise StateUnreadable(
                str(_SECRET),
                "somebody else made it",
                "delete it, or name the files that it is mounted to in tls.certFile and tls.keyFile",
            )
        version = secret["metadata"]["resourceVersion"]
        if self._holding is not None and version == self._version:
            return self._holding
        self._version = version
        try:
            return holding_of(secret)
        except UnusableSecret as error:
            _LOG.warning("the Secret cannot be used; its content is made anew", why=str(error))
            return self._written(self._begun(published), "restore")

    def _written(self, holding: Holding, what: str) -> Holding:
        """Write the Secret if it is still as it was read; return what was written."""
        objects = self._dependencies.objects
        secret = secret_with(holding, NAME, self._version)
        written = objects.replace(secret) if self._version else objects.create(secret)
        self._version = written.object["metadata"]["resourceVersion"]
        _LOG.info("certificates written", what=what)
        self._dependencies.counters.record_reconcile(f"certificates: {what}")
        return holding

    # -- the other replicas --------------------------------------------------------------------------------

    def _others(self) -> list[Announcement]:
        """Return what the other ready replicas say; somebody who says nothing counts as knowing nothing."""
        try:
            pods = self._dependencies.objects.list(POD, NAME, f"{NAME_LABEL}={NAME}")
        except StateUnreadable as error:
            _LOG.warning("the other replicas are not known: no authority is replaced", why=str(error))
            return [Announcement()]
        own = self._dependencies.pod
        return [_said(pod) for pod in pods if _is_ready(pod) and pod["metadata"]["name"] != own]

    def _announce(self, announcement: Announcement) -> None:
        if announcement == self._announced:
            return
        text = json.dumps({"authority": announcement.authority, "bundle": announcement.knowledge})
        patch = {"metadata": {"annotations": {SERVING_ANNOTATION: text}}}
        try:
            self._dependencies.objects.merge(Reference(POD, self._dependencies.pod, NAME), patch)
        except ChangeFailed as error:
            _LOG.warning("the other replicas are not told what is served here", why=str(error))
            return
        self._announced = announcement


def _said(pod: Manifest) -> Announcement:
    text = pod["metadata"].get("annotations", {}).get(SERVING_ANNOTATION, "")
    try:
        said = json.loads(text)
        return Announcement(str(said["authority"]), str(said["bundle"]))
    except (ValueError, KeyError, TypeError):
        return Announcement()


def _is_ready(pod: Manifest) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return ("Ready", "True") in ((condition.get("type"), condition.get("status")) for condition in conditions)
