"""Rotation without a failed handshake: decide which step is due (pure), then take it.

A certificate authority is replaced in steps, each a new content of the one Secret that all replicas read:

1. a *next* authority is made when a third of the current one's life is left, and published beside it;
2. serving certificates are issued from it once it has been published for a while and every replica knows it;
3. the *previous* one is taken out of the bundle a day later, once no replica serves under it any more.

What a replica serves is its own choice in the end (``app.certificates.rotator``): nothing that the published
bundle does not verify. So no order of events, and no replica that lags, can make the two disagree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from app.certificates.expiry import Validity, validity_of
from app.certificates.pairs import Pair, bundle_of, certificates_in, fingerprint
from app.names import NAME, SERVICE_HOST

_HOSTS = (SERVICE_HOST, f"{SERVICE_HOST}.cluster.local")
_RENEWED_PART = 3
"""What has less than this part of its life left is replaced: a third leaves time to notice that it is not."""

_MOST_FORMER = 4
"""So many of the newest former authorities are kept, and of the oldest."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long certificates are good, and how long the steps of a rotation wait.

    ``overlap``: how long a former authority stays published after it was replaced. ``settle``: how long a new
    one must have been published before it counts, for API servers hear of it a moment later.
    """

    authority: timedelta = timedelta(days=1095)
    serving: timedelta = timedelta(days=90)
    overlap: timedelta = timedelta(days=1)
    settle: timedelta = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Holding:
    """What the Secret holds: the serving pair, its authority, the next one, and former ones' certificates."""

    serving: Pair
    authority: Pair
    next: Pair | None = None
    previous: bytes = b""

    @property
    def bundle(self) -> bytes:
        """Every authority that clients are to trust now."""
        coming = b"" if self.next is None else self.next.certificate
        return bundle_of((self.authority.certificate, coming, self.previous))

    @property
    def issuer(self) -> str:
        """The fingerprint of the authority."""
        return fingerprint(self.authority.certificate)

    @property
    def knowledge(self) -> str:
        """A word for this bundle, by which replicas say that they know it."""
        return hashlib.sha256(self.bundle).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Announcement:
    """What one replica says of itself: the authority that it serves under, and the bundle that it knows."""

    authority: str = ""
    knowledge: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """What is known of the others at ``now``.

    ``published`` says since when each authority (by fingerprint) has been in the bundle that API servers
    read; None: there is no configuration, so nobody calls. ``replicas`` are those that are ready, this one
    included.
    """

    now: datetime
    published: Mapping[str, datetime] | None
    replicas: tuple[Announcement, ...]


class RotationStep(Enum):
    """One step of a rotation."""

    RENEW = "a new serving certificate from the same authority"
    PUBLISH_NEXT = "the next authority is published"
    ISSUE_FROM_NEXT = "the next authority takes over"
    DROP_PREVIOUS = "the previous authority is no longer published"


def due(holding: Holding, view: View, lifetimes: Lifetimes) -> RotationStep | None:
    """Return the step that is to be taken now. Raises ``UnreadableCertificate``."""
    serving, authority = validity_of(holding.serving.certificate), validity_of(holding.authority.certificate)
    # An authority that ended, as it may while no guard runs, has nothing to give: its successor is due.
    if _is_late(serving, view.now) and serving.end < authority.end and view.now < authority.end:
        return RotationStep.RENEW
    if holding.next is not None:
        urgent = authority.end - view.now < lifetimes.serving / _RENEWED_PART
        return RotationStep.ISSUE_FROM_NEXT if urgent or _may_issue(holding, view, lifetimes) else None
    if _is_late(authority, view.now):
        return RotationStep.PUBLISH_NEXT
    if holding.previous and _may_drop(holding, serving, view, lifetimes):
        return RotationStep.DROP_PREVIOUS
    return None


def _is_late(validity: Validity, now: datetime) -> bool:
    return validity.end - now < (validity.end - validity.issued) / _RENEWED_PART


def _may_issue(holding: Holding, view: View, lifetimes: Lifetimes) -> bool:
    return (
        holding.next is not None
        and is_published(fingerprint(holding.next.certificate), view, lifetimes)
        and all(replica.knowledge == holding.knowledge for replica in view.replicas)
    )


def _may_drop(holding: Holding, serving: Validity, view: View, lifetimes: Lifetimes) -> bool:
    # The serving certificate was issued when its authority took over, or later.
    is_over = view.now - serving.issued >= lifetimes.overlap
    return is_over and all(replica.authority == holding.issuer for replica in view.replicas)


def is_published(authority: str, view: View, lifetimes: Lifetimes) -> bool:
    """Tell whether API servers can be counted on to trust ``authority``, a fingerprint."""
    if view.published is None:
        return True
    since = view.published.get(authority)
    return since is not None and view.now - since >= lifetimes.settle


def take(step: RotationStep, holding: Holding, now: datetime, lifetimes: Lifetimes) -> Holding:
    """Return what the Secret is to hold after ``step``. Raises ``UnusableAuthority``."""
    match step:
        case RotationStep.RENEW:
            return replace(holding, serving=_issued(holding.authority, now, lifetimes))
        case RotationStep.PUBLISH_NEXT:
            return replace(holding, next=_authority(now, lifetimes))
        case RotationStep.ISSUE_FROM_NEXT if holding.next is not None:
            serving = _issued(holding.next, now, lifetimes)
            previous = bundle_of((holding.authority.certificate, holding.previous))
            return Holding(serving, holding.next, None, _worth_keeping(previous))
        case _:
            return replace(holding, previous=b"")


def begin(published: bytes, now: datetime, lifetimes: Lifetimes) -> Holding:
    """Return a new authority and a serving certificate; what is ``published`` already stays beside it.

    So replicas that hold on to what they serve are still trusted where a Secret was deleted or damaged.
    """
    authority = _authority(now, lifetimes)
    serving = _issued(authority, now, lifetimes)
    return Holding(serving, authority, None, _worth_keeping(bundle_of((published,))))


def _worth_keeping(former: bytes) -> bytes:
    """Return a few of the former authorities in a bundle, newest first.

    A Secret that somebody damages again and again must not fill the configuration. What replicas serve is
    among the newest, or the oldest where no newer one stood long enough to be served. Dates do not count: by
    the clock of another replica they may be good.
    """
    found = certificates_in(former)
    return bundle_of((*found[:_MOST_FORMER], *found[-_MOST_FORMER:]))


def _authority(now: datetime, lifetimes: Lifetimes) -> Pair:
    from app.certificates.issue import make_authority  # noqa: PLC0415 - ten megabytes, needed once in months

    # A name of its own: clients look for an issuer by its name first, and two authorities overlap.
    return make_authority(f"{NAME} {now:%Y-%m-%dT%H:%M:%SZ}", Validity.lasting(lifetimes.authority, now))


def _issued(authority: Pair, now: datetime, lifetimes: Lifetimes) -> Pair:
    from app.certificates.issue import issue_serving  # noqa: PLC0415 - as above

    return issue_serving(authority, _HOSTS, Validity.lasting(lifetimes.serving, now))
