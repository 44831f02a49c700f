"""What is asked of whoever knows the cluster's state, in words that admission and the cluster room share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from app.wire.review.request import Review


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose policies a decision needs: those of one namespace, or of all managed ones.

    Namespaces, sources and webhook Services come with either. ``only`` is None for all managed namespaces.
    """

    only: str | None = None

    @classmethod
    def namespace(cls, name: str) -> Scope:
        """Return the scope of the policies of namespace ``name``, managed or not."""
        return cls(name)

    @classmethod
    def managed(cls) -> Scope:
        """Return the scope of the policies of all managed namespaces."""
        return cls()

    def __str__(self) -> str:
        return "all managed namespaces" if self.only is None else f"namespace {self.only}"


@dataclass(frozen=True, slots=True)
class AccessQuestion:
    """May this user do this? What a SubjectAccessReview asks (``authorization.k8s.io/v1``).

    The user is given as the AdmissionReview gives it, groups and extra included.
    """

    username: str
    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Permission:
    """Something that whoever runs a command may or may not do; everywhere, or in ``namespace``."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""

    @property
    def attributes(self) -> Mapping[str, str]:
        """The permission as ``resourceAttributes`` of an access review."""
        return {key: value for key, value in asdict(self).items() if value}

    def __str__(self) -> str:
        """Return the words for messages: ``patch networkpolicies.networking.k8s.io in namespace one``."""
        group = f".{self.group}" if self.group else ""
        place = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.resource}{group}{place}"


@dataclass(frozen=True, slots=True)
class Override:
    """An override that was honoured: of which object, by whom, why, and what it let through.

    ``namespace`` is "" for a Namespace.
    """

    kind: str
    namespace: str
    name: str
    uid: str
    user: str
    reason: str
    what: str


@dataclass(frozen=True, slots=True)
class Access:
    """The answer; ``allowed`` is None where nobody could tell. ``reason`` is fit to be shown."""

    allowed: bool | None
    reason: str = ""

    @classmethod
    def unknown(cls, reason: str) -> Access:
        """Return the answer of somebody who cannot tell; it grants nothing."""
        return cls(None, reason)


def question(review: Review, verb: str) -> AccessQuestion:
    """Return whether the requesting user may use ``verb`` on what the review is about."""
    user, asked = review.user, review.resource
    where = asked.group, asked.resource, review.namespace, review.name
    return AccessQuestion(user.username, verb, *where, user.uid, user.groups, user.extra)
