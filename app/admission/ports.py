"""What admission needs from others, and how it is configured."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from time import monotonic
from typing import TYPE_CHECKING, Protocol

import msgspec

from app.engine.requirements import Options
from app.wire.identity import NAME

if TYPE_CHECKING:
    from app.engine.cluster import Cluster
    from app.wire.review import Operation
    from app.wire.state import Access, AccessQuestion, Override, Scope


class Mode(Enum):
    """What becomes of a change that would cut required flows; weakest last."""

    ENFORCE = "enforce"
    WARN = "warn"
    AUDIT = "audit"
    OFF = "off"

    def is_weaker_than(self, other: Mode) -> bool:
        """Tell whether less is refused in this mode than in ``other``."""
        order = list(Mode)
        return order.index(self) > order.index(other)


class Doubt(Enum):
    """What becomes of a change that could not be judged."""

    DENY = "deny"
    WARN = "warn"


class Afterwards(Enum):
    """What becomes of the connection once an answer is sent."""

    KEEP = "keep"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Replica:
    """Which of the guard's pods this is, for whoever asks; ``node`` is "" where that is not known."""

    pod: str = "netpol-guard"
    node: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """How this guard is configured; the defaults are those of ``decision.md``, Defaults.

    ``settling_seconds``: how long a change that was let through may take to show in the state; 0 where the
    state is a value that reviews do not change.
    """

    mode: Mode = Mode.ENFORCE
    on_state_error: Doubt = Doubt.DENY
    on_too_complex: Doubt = Doubt.DENY
    exempt_users: frozenset[str] = frozenset()
    exempt_groups: frozenset[str] = frozenset()
    exempt_namespaces: frozenset[str] = frozenset()
    guard_namespace: str = NAME
    tell_no_effect: bool = True
    options: Options = field(default_factory=Options)
    replica: Replica = Replica()
    settling_seconds: float = 0.0


class ClusterState(Protocol):
    """Whoever knows the cluster's state."""

    async def read(self, scope: Scope, *, timeout: float) -> Cluster:  # noqa: ASYNC109 - the client ends its call
        """Return the state of ``scope``, its policies fresh. Raises ``StateUnreadable``."""
        ...

    async def access(self, question: AccessQuestion, *, timeout: float) -> Access:  # noqa: ASYNC109 - as for read
        """Return whether a user may do something; never raises."""
        ...


class Announcer(Protocol):
    """Whoever makes overrides known in the cluster: as an Event of the object."""

    def overridden(self, override: Override) -> None:
        """Make it known as well as possible; must not raise or block."""
        ...


class Nobody:
    """Announces nothing: for where there is no cluster to write to."""

    def overridden(self, override: Override) -> None:
        """Do nothing."""


class OverrideOutcome(Enum):
    """What came of an override, for logs and metrics."""

    NOT_ASKED = "not asked"
    HONOURED = "honoured"
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    NO_REASON = "no reason"


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What was decided about one request, for logs and metrics; never a whole object.

    No dataclass, for there is one for each review and making a frozen one takes ten times as long.
    """

    uid: str
    operation: Operation
    resource: str
    namespace: str
    name: str
    user: str
    mode: Mode
    verdict: str
    seconds: float
    flows: tuple[str, ...] = ()
    dry_run: bool = False
    override: OverrideOutcome = OverrideOutcome.NOT_ASKED


class Recorder(Protocol):
    """Whoever writes decisions down."""

    def decided(self, decision: Decision) -> None:
        """Take note of ``decision``; must not raise or block."""
        ...


class Deadline:
    """A budget of time, from now on; the engine looks at it between slices of work."""

    def __init__(self, seconds: float) -> None:
        self._end = monotonic() + seconds

    def at_most(self, seconds: float) -> Deadline:
        """Return a deadline that is ``seconds`` away, or this one where it comes earlier."""
        return Deadline(min(seconds, self._end - monotonic()))

    def exhausted(self) -> bool:
        """Tell whether the time is up."""
        return monotonic() >= self._end

    @property
    def left(self) -> float:
        """The seconds that are left, at least a token 10 ms."""
        return max(0.01, self._end - monotonic())
