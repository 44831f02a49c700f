"""The certificate that a webhook serves, and whether the API server trusts it: the ``caBundle``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from app.doctor.checks.called_service import CalledService
from app.doctor.context import CertificateFacts
from app.doctor.findings import Area, Check, Finding
from app.doctor.repairs import Repair

_SOON = timedelta(days=14)


def certificate_findings(called: CalledService) -> Iterator[Finding]:
    """Yield what is wrong with the trust between the API server and one Service."""
    context = called.context
    pem = context.survey.certificates.get(called.key)
    certificate = None if pem is None else context.inspect(pem)
    found = [*_bundles(called)]
    if certificate is not None:
        found += [*_trust(called, certificate), *_validity(called, certificate)]
    elif context.survey.is_live and context.can_tell("secrets") and called.service is not None:
        yield _unseen(called)
    yield from (replace(finding, repair=_renewal(called)) for finding in found)


def _unseen(called: CalledService) -> Finding:
    return Finding(
        Check.UNCHECKED,
        "its pods mount no Secret with one, and they cannot be reached from here",
        called.key[0],
        about=f"the certificate of Service {called}",
        repair=Repair("run doctor in the cluster, where pods can be reached"),
    )


def _bundles(called: CalledService) -> Iterator[Finding]:
    """Yield registrations without a bundle: the API server then trusts public authorities alone."""
    bare = [webhook for webhook in called.registered if not webhook.ca_bundle]
    if bare:
        yield called.finding(
            Check.WEBHOOK_CA_MISSING,
            f"{bare[0].client.configuration} has no caBundle: the API server trusts no certificate of"
            f" Service {called}",
            "without a caBundle only publicly trusted certificates are accepted",
        )


def _trust(called: CalledService, certificate: CertificateFacts) -> Iterator[Finding]:
    """Yield bundles that do not vouch for the certificate, and a certificate for other names."""
    bundled = (webhook for webhook in called.registered if webhook.ca_bundle)
    strange = [webhook for webhook in bundled if not certificate.is_trusted_by(webhook.ca_bundle)]
    if strange:
        yield called.finding(
            Check.WEBHOOK_CA_MISMATCH,
            f"the caBundle of {strange[0].client.configuration} does not vouch for the certificate that"
            f" Service {called} serves",
            "x509: certificate signed by unknown authority",
        )
    namespace, name = called.key
    host = f"{name}.{namespace}.svc"
    if not {host, f"*.{namespace}.svc"} & set(certificate.names):
        yield called.finding(
            Check.WEBHOOK_CERTIFICATE_NAME,
            f"the certificate of Service {called} is not for {host}",
            f"it is for {', '.join(certificate.names) or 'no name at all'}",
        )


def _validity(called: CalledService, certificate: CertificateFacts) -> Iterator[Finding]:
    """Yield that the certificate has expired, or soon will."""
    left = certificate.ends - called.context.survey.moment
    when = f"{certificate.ends:%Y-%m-%d %H:%M} UTC"
    if left <= timedelta():
        yield called.finding(
            Check.WEBHOOK_CERTIFICATE_EXPIRED,
            f"the certificate of Service {called} has expired",
            f"it ended {when}",
        )
    elif left <= _SOON:
        yield called.finding(
            Check.WEBHOOK_CERTIFICATE_EXPIRES,
            f"the certificate of Service {called} expires in {left.days} day(s)",
            f"it ends {when}",
            consequence=f"afterwards: {called.silence}",
        )
    else:
        called.context.say_fine(f"webhook {called}: its certificate is good until {when}")


def _renewal(called: CalledService) -> Repair:
    namespace, name = called.key
    if called.area is Area.GUARD:
        return Repair(
            "let the guard issue it and publish its authority again",
            f"kubectl delete secret {name}-tls -n {namespace}"
            f" && kubectl rollout restart deployment {name} -n {namespace}",
        )
    serving = called.deployments[0].name if called.deployments else name
    return Repair(
        "restart what serves it, so that it issues its certificate and publishes its authority again",
        f"kubectl rollout restart deployment {serving} -n {namespace}",
    )
