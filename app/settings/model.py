"""The settings and their defaults; every key of the file is described here, at its field.

Keys are written in camelCase in a file, as everything in Kubernetes is, and in snake_case here. Defaults are
those of ``docs/design/decisions.md``, Defaults: whoever configures nothing gets the strict behaviour.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from app.admission.rules import Doubt, Mode
from app.engine.required_flows import IpBlockMatchesPods
from app.logs import LogFormat, LogLevel
from app.names import NAME, FailurePolicy

_TRUE_WORDS = ("yes", "on", "true")
_FALSE_WORDS = ("no", "off", "false")


class Notice(Enum):
    """Whether something is pointed out."""

    WARN = "warn"
    OFF = "off"


def _word_meant(words: type[Enum]) -> BeforeValidator:
    """Give back the word that YAML 1.1 took for a truth value: `off` in `mode: off` arrives as False."""

    def restored(value: object) -> object:
        if not isinstance(value, bool):
            return value
        alike = _TRUE_WORDS if value else _FALSE_WORDS
        return next((word.value for word in words if word.value in alike), value)

    return BeforeValidator(restored)


def _demand(holds: object, otherwise: str) -> None:
    """Raise what pydantic collects, unless something holds."""
    if not holds:
        raise ValueError(otherwise)


def _no_truth_value(value: object) -> object:
    """Refuse what pydantic would count as 0 or 1: `port: yes`."""
    _demand(not isinstance(value, bool), "must be a number, not a truth value")
    return value


def _network(value: object) -> object:
    """Return the canonical spelling of a CIDR or an address; an address is a network of one."""
    if not isinstance(value, str):
        return value
    try:
        return str(ip_network(value.strip()))
    except ValueError:
        pass
    try:
        masked = ip_network(value.strip(), strict=False)
    except ValueError:
        msg = "must be an address such as 10.0.0.1 or a CIDR such as 10.0.0.0/24"
    else:
        address = value.strip().partition("/")[0]
        msg = f"has bits set behind its prefix; write {masked} for the network or {address} for the address"
    raise ValueError(msg)


_NUMBER = BeforeValidator(_no_truth_value)
Name = Annotated[str, Field(min_length=1)]
PortNumber = Annotated[int, _NUMBER, Field(ge=0, le=65535)]
Count = Annotated[int, _NUMBER, Field(ge=1)]
Days = Annotated[float, _NUMBER, Field(gt=0, le=36500, allow_inf_nan=False)]
Cidr = Annotated[str, BeforeValidator(_network)]


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )


class Exempt(_Section):
    """Whose changes, and changes in which namespaces, are admitted without a judgement."""

    users: tuple[Name, ...] = ()
    groups: tuple[Name, ...] = ()
    namespaces: tuple[Name, ...] = ()


class DnsService(_Section):
    """Pods that resolve names for the cluster."""

    namespace: Name = "kube-system"
    pod_labels: Mapping[str, str] = Field(default_factory=lambda: {"k8s-app": "kube-dns"}, min_length=1)


class PlatformEgress(_Section):
    """What a platform needs from outside its own namespaces; losing it is a warning."""

    dns: tuple[DnsService, ...] = (DnsService(),)
    outside: Annotated[Notice, _word_meant(Notice)] = Notice.OFF


class ApiServerSettings(_Section):
    """Where calls of the API server to webhooks come from, as far as an administrator declares it."""

    sources: tuple[Cidr, ...] = ()


class StateSource(_Section):
    """Where the state comes from: a directory of manifests, else the live cluster."""

    directory: Path | None = None
    kubeconfig: Path | None = None
    context: Name | None = None

    @model_validator(mode="after")
    def _one_source(self) -> StateSource:
        is_one = self.directory is None or (self.kubeconfig is None and self.context is None)
        _demand(is_one, "directory excludes kubeconfig and context: the state comes from one place")
        return self


class ListenSettings(_Section):
    """Addresses and ports; `::` means every address of both families, port 0 takes any free one."""

    host: Name = "::"
    port: PortNumber = 8443
    health_host: Name = "::"
    health_port: PortNumber = 8080

    @model_validator(mode="after")
    def _two_ports(self) -> ListenSettings:
        is_shared = self.port == self.health_port != 0 and self.host == self.health_host
        _demand(not is_shared, f"port and healthPort are both {self.port}; they must differ")
        return self


class WebhookSettings(_Section):
    """The guard's own webhook configuration, which it looks after in a cluster.

    An annotation on the configuration itself goes before ``failurePolicy`` (``app.names``).
    """

    failure_policy: FailurePolicy = FailurePolicy.FAIL
    check_seconds: Annotated[float, _NUMBER, Field(gt=0, le=3600, allow_inf_nan=False)] = 15.0


class Pod(_Section):
    """The Pod that this process runs in, as the downward API tells it."""

    name: Name | None = None
    node: Name | None = None


class Tls(_Section):
    """The serving certificate's files; they are read again when they change.

    Without them a guard in a cluster makes certificates of its own, which last that many days and are
    replaced when a third of that is left. A former authority stays trusted for ``overlap_days``; a new one
    counts ``settle_seconds`` after it was published.
    """

    cert_file: Path | None = None
    key_file: Path | None = None
    authority_days: Days = 1095.0
    serving_days: Days = 90.0
    overlap_days: Days = 1.0
    settle_seconds: Annotated[float, _NUMBER, Field(ge=0, le=3600, allow_inf_nan=False)] = 15.0

    @model_validator(mode="after")
    def _nested(self) -> Tls:
        why = "authorityDays must be at least three times servingDays: an authority outlives what it issues"
        _demand(self.authority_days >= 3 * self.serving_days, why)
        why = "servingDays must be at least twice overlapDays: the overlap ends before the next renewal"
        _demand(self.serving_days >= 2 * self.overlap_days, why)
        return self

    @model_validator(mode="after")
    def _both_or_neither(self) -> Tls:
        missing = "certFile" if self.cert_file is None else "keyFile"
        is_pair = (self.cert_file is None) == (self.key_file is None)
        _demand(is_pair, f"{missing} is missing: a certificate needs its key")
        return self


class Limits(_Section):
    """How much one process takes on."""

    body_bytes: Count = 8 * 1024 * 1024
    in_flight: Count = 64


class Log(_Section):
    """How much is logged, and in which form."""

    level: LogLevel = LogLevel.INFO
    format: LogFormat = LogFormat.JSON


class Settings(_Section):
    """Everything that can be chosen."""

    mode: Annotated[Mode, _word_meant(Mode)] = Mode.ENFORCE
    on_state_error: Doubt = Doubt.DENY
    on_too_complex: Doubt = Doubt.DENY
    exempt: Exempt = Exempt()
    guard_namespace: Name = NAME
    no_effect: Annotated[Notice, _word_meant(Notice)] = Notice.WARN
    ip_block_matches_pods: Annotated[IpBlockMatchesPods, _word_meant(IpBlockMatchesPods)] = (
        IpBlockMatchesPods.UNKNOWN
    )
    platform_egress: PlatformEgress = PlatformEgress()
    api_server: ApiServerSettings = ApiServerSettings()
    # The generated name would be podCidrs; Kubernetes writes podCIDRs.
    pod_cidrs: tuple[Cidr, ...] = Field(default=(), alias="podCIDRs")
    budget_seconds: Annotated[float, _NUMBER, Field(ge=0.1, le=29, allow_inf_nan=False)] = 1.0
    state: StateSource = StateSource()
    listen: ListenSettings = ListenSettings()
    tls: Tls = Tls()
    webhook: WebhookSettings = WebhookSettings()
    pod: Pod = Pod()
    limits: Limits = Limits()
    log: Log = Log()
    drain_seconds: Annotated[float, _NUMBER, Field(ge=0, le=600, allow_inf_nan=False)] = 15.0
