"""What admission needs from others, and how it is configured."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol, TypeVar

import msgspec

from app.admission.rules import Mode
from app.deadline import Deadline
from app.engine.budget import Budget
from app.engine.cluster import Cluster
from app.errors import WorkerAway
from app.model.access import Access, AccessQuestion, Override, Scope
from app.wire.review.request import Operation

T = TypeVar("T")


class Afterwards(Enum):
    """What becomes of the connection once an answer is sent."""

    KEEP = "keep"
    CLOSE = "close"


class ClusterState(Protocol):
    """Whoever knows the cluster's state."""

    async def read(self, scope: Scope, deadline: Deadline) -> Cluster:
        """Return the state of ``scope``, its policies fresh. Raises ``StateUnreadable``."""
        ...

    async def access(self, question: AccessQuestion, deadline: Deadline) -> Access:
        """Return whether a user may do something; never raises."""
        ...


class Worker(Protocol):
    """Whoever answers hard questions, one after another, without holding up others."""

    async def ask(self, question: Callable[[Budget], T], deadline: Deadline) -> T:
        """Return the answer to ``question``, a value that can be pickled, as soon as its turn comes.

        Raises ``TooComplexError`` past the deadline, and ``WorkerAway`` where there is nobody to answer.
        """
        ...


class NoWorker:
    """Answers no question: for where nobody was started to."""

    async def ask(self, question: Callable[[Budget], T], deadline: Deadline) -> T:  # noqa: ARG002 - the Protocol's
        """Raise ``WorkerAway``."""
        raise WorkerAway("there is none")


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
    way: str = ""


class Recorder(Protocol):
    """Whoever writes decisions down."""

    def decided(self, decision: Decision) -> None:
        """Take note of ``decision``; must not raise or block."""
        ...
