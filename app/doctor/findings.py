"""What doctor finds: values, so that every format shows the same.

Causes come first: what merely follows from a finding hangs below it as a symptom, so that nobody repairs the
wrong end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from enum import Enum
from typing import Self

from app.doctor.repairs import Repair


class FindingSeverity(Enum):
    """How grave a finding is, worst first. Only the first two make a cluster unhealthy."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    UNCHECKED = "unchecked"

    @property
    def rank(self) -> int:
        """The place in the order of gravity, 0 the worst."""
        return list(FindingSeverity).index(self)

    @property
    def words(self) -> str:
        """The same for people."""
        return _WORDS[self]

    @property
    def counts(self) -> bool:
        """Whether such a finding means that something has to be done."""
        return self in (FindingSeverity.ERROR, FindingSeverity.WARNING)


_WORDS = {
    FindingSeverity.ERROR: "broken",
    FindingSeverity.WARNING: "at risk",
    FindingSeverity.NOTE: "to know",
    FindingSeverity.UNCHECKED: "not checked",
}


class Area(Enum):
    """What a finding is about; the order in which a report speaks of equally grave things."""

    API_SERVER = "API server"
    WEBHOOKS = "Webhooks"
    NAMESPACES = "Namespaces"
    NEIGHBOURS = "Neighbours"
    GUARD = "Guard"
    UNCHECKED = "Not checked"


class Check(Enum):
    """Everything that can be found, by a name that stays: programs and people refer to it.

    Each with what it is about, and how grave it is unless a finding says otherwise.
    """

    _value_: str
    area: Area
    severity: FindingSeverity

    API_SERVER_UNKNOWN = "api-server-unknown", Area.API_SERVER, FindingSeverity.WARNING
    API_SERVER_WRONG_ADDRESS = "api-server-wrong-address", Area.API_SERVER
    API_SERVER_MEMBER_NOT_ALLOWED = "api-server-member-not-allowed", Area.API_SERVER
    API_SERVER_STALE_ADDRESS = "api-server-stale-address", Area.API_SERVER, FindingSeverity.WARNING
    API_SERVER_UNKNOWN_PEER = "api-server-unknown-peer", Area.API_SERVER, FindingSeverity.WARNING
    API_SERVER_UNMATCHABLE = "api-server-unmatchable", Area.API_SERVER
    API_SERVER_SOURCE_UNSEEN = "api-server-source-unseen", Area.API_SERVER, FindingSeverity.NOTE
    API_SERVER_SOURCE_EXPIRED = "api-server-source-expired", Area.API_SERVER, FindingSeverity.NOTE
    API_SERVER_NOT_MEASURED = "api-server-not-measured", Area.API_SERVER, FindingSeverity.WARNING

    WEBHOOK_CUT_OFF = "webhook-cut-off", Area.WEBHOOKS
    WEBHOOK_SERVICE_MISSING = "webhook-service-missing", Area.WEBHOOKS
    WEBHOOK_PORT_MISSING = "webhook-port-missing", Area.WEBHOOKS
    WEBHOOK_SCALED_TO_ZERO = "webhook-scaled-to-zero", Area.WEBHOOKS
    WEBHOOK_SELECTS_NOTHING = "webhook-selects-nothing", Area.WEBHOOKS
    WEBHOOK_NO_PODS = "webhook-no-pods", Area.WEBHOOKS
    WEBHOOK_NOT_READY = "webhook-not-ready", Area.WEBHOOKS
    WEBHOOK_TARGET_PORT_UNKNOWN = "webhook-target-port-unknown", Area.WEBHOOKS
    WEBHOOK_UNREACHABLE = "webhook-unreachable", Area.WEBHOOKS
    WEBHOOK_SLOW = "webhook-slow", Area.WEBHOOKS, FindingSeverity.WARNING
    WEBHOOK_CA_MISSING = "webhook-ca-missing", Area.WEBHOOKS
    WEBHOOK_CA_MISMATCH = "webhook-ca-mismatch", Area.WEBHOOKS
    WEBHOOK_CERTIFICATE_NAME = "webhook-certificate-name", Area.WEBHOOKS
    WEBHOOK_CERTIFICATE_EXPIRED = "webhook-certificate-expired", Area.WEBHOOKS
    WEBHOOK_CERTIFICATE_EXPIRES = "webhook-certificate-expires", Area.WEBHOOKS, FindingSeverity.WARNING

    BASELINE_MISSING = "baseline-missing", Area.NAMESPACES
    BASELINE_ALTERED = "baseline-altered", Area.NAMESPACES
    BASELINE_TERMINATING = "baseline-terminating", Area.NAMESPACES
    BASELINE_SELECTS_OTHER_PODS = "baseline-selects-other-pods", Area.NAMESPACES
    FLOW_LOST = "flow-lost", Area.NAMESPACES
    FUTURE_NAMESPACES_CUT = "future-namespaces-cut", Area.NAMESPACES
    IP_BLOCK_ONLY = "ip-block-only", Area.NAMESPACES
    SINGLE_POLICY = "single-policy", Area.NAMESPACES, FindingSeverity.WARNING
    ISOLATES_WITHOUT_NEED = "isolates-without-need", Area.NAMESPACES, FindingSeverity.NOTE
    TOO_COMPLEX = "too-complex", Area.NAMESPACES, FindingSeverity.UNCHECKED
    LABEL_MISSING = "label-missing", Area.NAMESPACES

    DNS_CUT_OFF = "dns-cut-off", Area.NEIGHBOURS
    GATEWAY_CUT_OFF = "gateway-cut-off", Area.NEIGHBOURS, FindingSeverity.WARNING
    SCRAPER_CUT_OFF = "scraper-cut-off", Area.NEIGHBOURS, FindingSeverity.WARNING

    GUARD_ABSENT = "guard-absent", Area.GUARD, FindingSeverity.WARNING
    GUARD_NOT_REGISTERED = "guard-not-registered", Area.GUARD
    GUARD_SCOPE = "guard-scope", Area.GUARD
    GUARD_FAILS_OPEN = "guard-fails-open", Area.GUARD, FindingSeverity.WARNING
    GUARD_REPLICAS = "guard-replicas", Area.GUARD, FindingSeverity.WARNING
    GUARD_VERSION = "guard-version", Area.GUARD, FindingSeverity.WARNING
    GUARD_LEDGER = "guard-ledger", Area.GUARD, FindingSeverity.WARNING
    GUARD_WEBHOOK_SERVICES = "guard-webhook-services", Area.GUARD, FindingSeverity.WARNING
    GUARD_SETTINGS = "guard-settings", Area.GUARD, FindingSeverity.WARNING
    GUARD_MODE = "guard-mode", Area.GUARD, FindingSeverity.WARNING
    GUARD_EXEMPT = "guard-exempt", Area.GUARD, FindingSeverity.WARNING
    GUARD_OVERRIDE = "guard-override", Area.GUARD, FindingSeverity.WARNING

    UNCHECKED = "unchecked", Area.UNCHECKED, FindingSeverity.UNCHECKED

    def __new__(cls, name: str, area: Area, severity: FindingSeverity = FindingSeverity.ERROR) -> Self:
        """Make a check whose value is its name."""
        check = object.__new__(cls)
        check._value_, check.area, check.severity = name, area, severity
        return check


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or that could not be looked at.

    ``namespace`` is empty where it is about the cluster; ``about`` says what it is about where that is
    neither the namespace nor all of its area. ``evidence`` says how it is known, ``consequence`` what people
    notice. ``own_severity`` and ``own_area`` stand where they are not those of the check.
    """

    check: Check
    title: str
    namespace: str = ""
    _: KW_ONLY
    about: str = ""
    evidence: tuple[str, ...] = ()
    consequence: str = ""
    repair: Repair | None = None
    symptoms: tuple[Finding, ...] = ()
    own_severity: FindingSeverity | None = None
    own_area: Area | None = None

    @property
    def severity(self) -> FindingSeverity:
        """How grave it is."""
        return self.own_severity or self.check.severity

    @property
    def area(self) -> Area:
        """Where in a report it stands."""
        return self.own_area or self.check.area

    @property
    def subject(self) -> str:
        """What it is about, in words."""
        if self.about or self.namespace:
            return self.about or f"namespace {self.namespace}"
        return "guard" if self.area is Area.GUARD else self.area.value

    @property
    def where(self) -> str:
        """The area and what it is about, as a report says them."""
        return self.subject if self.area is Area.UNCHECKED else f"{self.area.value} · {self.subject}"


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, worst first; ``fine`` says in words what was looked at and is as it should be."""

    findings: tuple[Finding, ...] = ()
    fine: tuple[str, ...] = ()

    @property
    def is_healthy(self) -> bool:
        """Whether nothing has to be done."""
        return not any(finding.severity.counts for finding in self.findings)

    @property
    def counts(self) -> Mapping[FindingSeverity, int]:
        """How many findings there are of which severity, the worst first."""
        found = Counter(finding.severity for finding in self.findings)
        return {severity: found[severity] for severity in FindingSeverity}


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings worst first; equally grave ones by area, check and subject."""
    areas, checks = list(Area), list(Check)

    def key(finding: Finding) -> tuple[int, int, int, str]:
        area, check = areas.index(finding.area), checks.index(finding.check)
        return finding.severity.rank, area, check, finding.subject

    return tuple(sorted(findings, key=key))
