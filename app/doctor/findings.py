"""What doctor finds: values, so that every format shows the same.

Causes come first: what merely follows from a finding hangs below it as a symptom, so that nobody repairs the
wrong end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from app.doctor.repairs import Repair


class Severity(Enum):
    """How grave a finding is, worst first. Only the first two make a cluster unhealthy."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    UNCHECKED = "unchecked"

    @property
    def rank(self) -> int:
        """The place in the order of gravity, 0 the worst."""
        return list(Severity).index(self)

    @property
    def counts(self) -> bool:
        """Whether such a finding means that something has to be done."""
        return self in (Severity.ERROR, Severity.WARNING)


class Area(Enum):
    """What a finding is about; the order in which a report speaks of equally grave things."""

    API_SERVER = "API server"
    WEBHOOKS = "Webhooks"
    NAMESPACES = "Namespaces"
    NEIGHBOURS = "Neighbours"
    GUARD = "Guard"
    UNCHECKED = "Not checked"


class Check(Enum):
    """Everything that can be found, by a name that stays: programs and people refer to it."""

    API_SERVER_UNKNOWN = "api-server-unknown"
    API_SERVER_WRONG_ADDRESS = "api-server-wrong-address"
    API_SERVER_MEMBER_NOT_ALLOWED = "api-server-member-not-allowed"
    API_SERVER_STALE_ADDRESS = "api-server-stale-address"
    API_SERVER_UNKNOWN_PEER = "api-server-unknown-peer"
    API_SERVER_UNMATCHABLE = "api-server-unmatchable"

    WEBHOOK_CUT_OFF = "webhook-cut-off"
    WEBHOOK_SERVICE_MISSING = "webhook-service-missing"
    WEBHOOK_PORT_MISSING = "webhook-port-missing"
    WEBHOOK_SCALED_TO_ZERO = "webhook-scaled-to-zero"
    WEBHOOK_SELECTS_NOTHING = "webhook-selects-nothing"
    WEBHOOK_NO_PODS = "webhook-no-pods"
    WEBHOOK_NOT_READY = "webhook-not-ready"
    WEBHOOK_TARGET_PORT_UNKNOWN = "webhook-target-port-unknown"
    WEBHOOK_UNREACHABLE = "webhook-unreachable"
    WEBHOOK_SLOW = "webhook-slow"
    WEBHOOK_CA_MISSING = "webhook-ca-missing"
    WEBHOOK_CA_MISMATCH = "webhook-ca-mismatch"
    WEBHOOK_CERTIFICATE_NAME = "webhook-certificate-name"
    WEBHOOK_CERTIFICATE_EXPIRED = "webhook-certificate-expired"
    WEBHOOK_CERTIFICATE_EXPIRES = "webhook-certificate-expires"

    BASELINE_MISSING = "baseline-missing"
    BASELINE_ALTERED = "baseline-altered"
    BASELINE_TERMINATING = "baseline-terminating"
    BASELINE_SELECTS_OTHER_PODS = "baseline-selects-other-pods"
    FLOW_LOST = "flow-lost"
    FUTURE_NAMESPACES_CUT = "future-namespaces-cut"
    IP_BLOCK_ONLY = "ip-block-only"
    SINGLE_POLICY = "single-policy"
    ISOLATES_WITHOUT_NEED = "isolates-without-need"
    TOO_COMPLEX = "too-complex"
    LABEL_MISSING = "label-missing"

    DNS_CUT_OFF = "dns-cut-off"
    GATEWAY_CUT_OFF = "gateway-cut-off"
    SCRAPER_CUT_OFF = "scraper-cut-off"

    GUARD_ABSENT = "guard-absent"
    GUARD_NOT_REGISTERED = "guard-not-registered"
    GUARD_SCOPE = "guard-scope"
    GUARD_FAILS_OPEN = "guard-fails-open"
    GUARD_REPLICAS = "guard-replicas"
    GUARD_VERSION = "guard-version"
    GUARD_SETTINGS = "guard-settings"
    GUARD_MODE = "guard-mode"
    GUARD_EXEMPT = "guard-exempt"
    GUARD_OVERRIDE = "guard-override"

    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or that could not be looked at.

    ``subject`` is what it is about (``namespace x``); ``namespace`` is empty where it is about the cluster.
    ``evidence`` says how it is known, ``consequence`` what people notice.
    """

    check: Check
    severity: Severity
    area: Area
    subject: str
    title: str
    namespace: str = ""
    evidence: tuple[str, ...] = ()
    consequence: str = ""
    repair: Repair | None = None
    symptoms: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, worst first; ``fine`` says in words what was looked at and is as it should be."""

    findings: tuple[Finding, ...] = ()
    fine: tuple[str, ...] = field(default=())

    @property
    def is_healthy(self) -> bool:
        """Whether nothing has to be done."""
        return not any(one.severity.counts for one in self.findings)


def ordered(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return the findings worst first; equally grave ones by area, check and subject."""
    areas, checks = list(Area), list(Check)
    return tuple(
        sorted(
            findings,
            key=lambda one: (
                one.severity.rank,
                areas.index(one.area),
                checks.index(one.check),
                one.subject,
            ),
        )
    )
