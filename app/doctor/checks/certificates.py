"""The certificate that a webhook serves, and whether the API server trusts it: the ``caBundle``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from app.doctor import consequences, repairs
from app.doctor.context import CertificateFacts, Context
from app.doctor.findings import Area, Check, Finding, Severity
from app.model.survey import ServiceKey
from app.wire.objects.registrations import Registration

_SOON = timedelta(days=14)


def certificate_findings(
    context: Context, key: ServiceKey, registered: tuple[Registration, ...], area: Area
) -> Iterator[Finding]:
    """Yield what is wrong with the trust between the API server and one Service."""
    served = _Served(context, key, registered, area)
    yield from served.bundles()
    pem = context.survey.certificates.get(key)
    certificate = None if pem is None else context.inspect(pem)
    if certificate is not None:
        yield from served.trust(certificate)
        yield from served.validity(certificate)
    elif context.survey.is_live and context.can_tell("secrets") and key in context.survey.services:
        yield served.unseen()


@dataclass(frozen=True, slots=True)
class _Served:
    context: Context
    key: ServiceKey
    registered: tuple[Registration, ...]
    area: Area

    def bundles(self) -> Iterator[Finding]:
        """Yield registrations without a bundle: the API server then trusts public authorities alone."""
        bare = [one for one in self.registered if not one.ca_bundle]
        if bare:
            yield self._finding(
                Check.WEBHOOK_CA_MISSING,
                Severity.ERROR,
                f"{bare[0].client.configuration} has no caBundle: the API server trusts no certificate of"
                f" Service {'/'.join(self.key)}",
                "without a caBundle only publicly trusted certificates are accepted",
            )

    def trust(self, certificate: CertificateFacts) -> Iterator[Finding]:
        """Yield bundles that do not vouch for the certificate, and a certificate for other names."""
        strange = [
            one for one in self.registered if one.ca_bundle and not certificate.is_trusted_by(one.ca_bundle)
        ]
        if strange:
            yield self._finding(
                Check.WEBHOOK_CA_MISMATCH,
                Severity.ERROR,
                f"the caBundle of {strange[0].client.configuration} does not vouch for the certificate that"
                f" Service {'/'.join(self.key)} serves",
                "x509: certificate signed by unknown authority",
            )
        name = f"{self.key[1]}.{self.key[0]}.svc"
        if name not in certificate.names and f"*.{self.key[0]}.svc" not in certificate.names:
            yield self._finding(
                Check.WEBHOOK_CERTIFICATE_NAME,
                Severity.ERROR,
                f"the certificate of Service {'/'.join(self.key)} is not for {name}",
                f"it is for {', '.join(certificate.names) or 'no name at all'}",
            )

    def validity(self, certificate: CertificateFacts) -> Iterator[Finding]:
        """Yield that the certificate has expired, or soon will."""
        left = certificate.ends - self.context.survey.moment
        when = f"{certificate.ends:%Y-%m-%d %H:%M} UTC"
        if left <= timedelta():
            yield self._finding(
                Check.WEBHOOK_CERTIFICATE_EXPIRED,
                Severity.ERROR,
                f"the certificate of Service {'/'.join(self.key)} has expired",
                f"it ended {when}",
            )
        elif left <= _SOON:
            yield self._finding(
                Check.WEBHOOK_CERTIFICATE_EXPIRES,
                Severity.WARNING,
                f"the certificate of Service {'/'.join(self.key)} expires in {left.days} day(s)",
                f"it ends {when}",
                then="afterwards: ",
            )
        else:
            self.context.say_fine(f"webhook {'/'.join(self.key)}: its certificate is good until {when}")

    def unseen(self) -> Finding:
        """Return that nobody can look at the certificate from here."""
        return Finding(
            Check.UNCHECKED,
            Severity.UNCHECKED,
            Area.UNCHECKED,
            f"the certificate of Service {'/'.join(self.key)}",
            "its pods mount no Secret with one, and they cannot be reached from here",
            self.key[0],
            repair=repairs.advice("run doctor in the cluster, where pods can be reached", ""),
        )

    def _finding(
        self, check: Check, severity: Severity, title: str, evidence: str, *, then: str = ""
    ) -> Finding:
        return Finding(
            check,
            severity,
            self.area,
            f"Service {'/'.join(self.key)}",
            title,
            self.key[0],
            (evidence,),
            then + self._silence(),
            self._renewal(),
        )

    def _silence(self) -> str:
        if self.area is Area.GUARD and any(one.fails_open for one in self.registered):
            return f"{consequences.GUARD_BLIND} (failurePolicy: Ignore)"
        return consequences.of_silence(self.registered)

    def _renewal(self) -> repairs.Repair:
        namespace = self.key[0]
        if self.area is Area.GUARD:
            return repairs.advice(
                "let the guard issue it and publish its authority again",
                f"kubectl delete secret {self.key[1]}-tls -n {namespace}"
                f" && kubectl rollout restart deployment {self.key[1]} -n {namespace}",
            )
        deployments = [
            one.name
            for one in self.context.survey.deployments
            if one.namespace == namespace and self._serves(dict(one.pod_labels))
        ]
        name = deployments[0] if deployments else self.key[1]
        return repairs.advice(
            "restart what serves it, so that it issues its certificate and publishes its authority again",
            f"kubectl rollout restart deployment {name} -n {namespace}",
        )

    def _serves(self, labels: dict[str, str]) -> bool:
        service = self.context.survey.services.get(self.key)
        return service is not None and bool(service.selector) and service.selector.items() <= labels.items()
