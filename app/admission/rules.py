"""How the guard is configured to decide: modes, doubt, exemptions."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from app.engine.required_flows import Options
from app.names import NAME

POLICIES = ("networking.k8s.io", "networkpolicies")
NAMESPACES = ("", "namespaces")
"""What is judged: API group and resource."""


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


@dataclass(frozen=True, slots=True)
class Replica:
    """Which of the guard's pods this is, for whoever asks; ``node`` is "" where that is not known."""

    pod: str = "netpol-guard"
    node: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """How this guard is configured; the defaults are those of ``docs/design/decisions.md``, Defaults.

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
