from __future__ import annotations

from dataclasses import replace

import pytest

from app.doctor.context import Context
from app.doctor.examine import examine
from app.doctor.findings import Check, FindingSeverity
from app.doctor.verdicts import Verdicts
from app.errors import InputError
from app.model.survey import Unread
from tests.doctor.world import Manifest, changed, context, examined, healthy

ROLE = 'apiGroups: [""], resources: ["services"], verbs: ["list"]'


class Exhausted:
    """A budget that nothing is left of."""

    def exhausted(self) -> bool:
        return True


def hidden(given: Context, *resources: str) -> Context:
    unread = tuple(
        Unread(f"the {resource}", "not permitted (403)", f"grant this rule: {ROLE}") for resource in resources
    )
    return replace(given, survey=replace(given.survey, unread=unread, hidden=frozenset(resources)))


def test_what_could_not_be_read_is_listed_with_the_rule_that_would_permit_it_and_is_no_finding() -> None:
    report = examine(hidden(context(healthy()), "services"))
    assert report.is_healthy
    assert [finding.check for finding in report.findings] == [Check.UNCHECKED]
    repair = report.findings[0].repair
    assert repair is not None
    assert ROLE in repair.words


def test_services_that_must_not_be_read_are_not_reported_as_missing() -> None:
    objects = changed(healthy(), [{"delete": "Service iomete-system/spark-operator-webhook"}])
    report = examine(hidden(context(objects), "services"))
    assert Check.WEBHOOK_SERVICE_MISSING not in {finding.check for finding in report.findings}


def test_a_guard_whose_registration_must_not_be_read_is_not_reported_as_absent() -> None:
    objects = changed(healthy(), [{"delete": "ValidatingWebhookConfiguration netpol-guard"}])
    report = examine(hidden(context(objects), "validatingwebhookconfigurations"))
    assert report.is_healthy


def test_an_api_server_without_known_addresses_is_said_and_its_webhooks_are_not_judged() -> None:
    given = context(healthy())
    cluster = replace(given.verdicts.cluster, sources=())
    blind = replace(given, verdicts=Verdicts(cluster, given.verdicts.options, given.verdicts.budget))
    assert Check.API_SERVER_UNKNOWN in {finding.check for finding in examine(blind).findings}


def test_policies_too_complex_to_verify_are_said_to_be_unchecked() -> None:
    narrowed: Manifest = {"spec": {"ingress": [{"from": [{"podSelector": {}}]}]}}
    objects = changed(
        healthy(), [{"patch": "NetworkPolicy data-plane/iomete-ingress-egress", "with": narrowed}]
    )
    given = context(objects)
    bounded = replace(given, verdicts=Verdicts(given.verdicts.cluster, given.verdicts.options, Exhausted))
    found = {finding.check: finding.severity for finding in examine(bounded).findings}
    assert found == {Check.TOO_COMPLEX: FindingSeverity.UNCHECKED}


def test_only_the_namespaces_asked_for_are_looked_at() -> None:
    objects = changed(
        healthy(),
        [
            {"delete": "NetworkPolicy data-plane/iomete-ingress-egress"},
            {"delete": "NetworkPolicy data-plane-2/iomete-ingress-egress"},
        ],
    )
    assert {finding.namespace for finding in examined(objects, only=["data-plane-2"]).findings} == {
        "data-plane-2"
    }


def test_a_namespace_that_does_not_exist_is_an_input_error() -> None:
    with pytest.raises(InputError, match="there is no namespace nowhere"):
        examined(healthy(), only=["nowhere"])


def test_an_unmanaged_namespace_that_is_asked_for_is_said_to_be_unmanaged() -> None:
    (finding,) = examined(healthy(), only=["monitoring"]).findings
    assert (finding.check, finding.severity) == (Check.LABEL_MISSING, FindingSeverity.NOTE)
    assert "monitoring is not one of the platform's namespaces" in finding.title


def webhook_service(**spec: object) -> list[Manifest]:
    return [{"patch": "Service iomete-system/spark-operator-webhook", "with": {"spec": spec}}]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (webhook_service(selector=None), "has no selector"),
        (webhook_service(type="ExternalName", externalName="hooks.example"), "is an ExternalName"),
    ],
    ids=["no-selector", "external-name"],
)
def test_a_webhook_whose_pods_nobody_knows_is_listed_as_unchecked(change: list[Manifest], said: str) -> None:
    (finding,) = examined(changed(healthy(), change)).findings
    assert finding.check is Check.UNCHECKED
    assert said in finding.title


def test_webhooks_that_are_called_at_a_url_are_listed_as_unchecked() -> None:
    registration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "cloud"},
        "webhooks": [{"name": "cloud.example", "clientConfig": {"url": "https://hooks.example/"}}],
    }
    (finding,) = examined(changed(healthy(), [{"create": registration}])).findings
    assert finding.check is Check.UNCHECKED
    assert "ValidatingWebhookConfiguration/cloud (https://hooks.example/)" in finding.title


def test_a_certificate_that_cannot_be_seen_is_listed_as_unchecked_on_a_live_cluster() -> None:
    given = context(changed(healthy(), [{"delete": "Secret iomete-system/spark-operator-certs"}]))
    live = replace(given, survey=replace(given.survey, is_live=True))
    (finding,) = examine(live).findings
    assert finding.check is Check.UNCHECKED
    assert finding.subject == "the certificate of Service iomete-system/spark-operator-webhook"
