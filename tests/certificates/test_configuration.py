from __future__ import annotations

import pytest

from app.certificates.configuration import apply_patch, configuration_of
from app.names import FIELD_MANAGER, NAMESPACES_WEBHOOK, POLICIES_WEBHOOK, FailurePolicy
from tests.certificates.cluster import shipped_configuration


def owned(manager: str, *fields: str) -> dict[str, object]:
    webhook: dict[str, object] = {f"f:{field}": {} for field in fields}
    key = f'k:{{"name":"{POLICIES_WEBHOOK}"}}'
    return {"manager": manager, "operation": "Update", "fieldsV1": {"f:webhooks": {key: webhook}}}


def test_what_is_applied_is_our_fields_and_nothing_else() -> None:
    shipped = shipped_configuration()
    shipped["metadata"]["resourceVersion"] = "7"
    wanted = configuration_of(shipped).with_bundle(b"a bundle").with_policy(FailurePolicy.FAIL)
    fields = {"failurePolicy": "Fail", "clientConfig": {"caBundle": "YSBidW5kbGU="}}
    assert apply_patch(wanted, owns_bundle=True) == {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "netpol-guard", "resourceVersion": "7"},
        "webhooks": [{"name": name, **fields} for name in (POLICIES_WEBHOOK, NAMESPACES_WEBHOOK)],
    }


def test_a_bundle_that_is_somebody_elses_is_not_applied() -> None:
    patch = apply_patch(configuration_of(shipped_configuration()), owns_bundle=False)
    assert all(webhook.keys() == {"name", "failurePolicy"} for webhook in patch["webhooks"])


def test_a_webhook_without_a_policy_fails_as_the_api_defaults_it() -> None:
    shipped = shipped_configuration()
    for webhook in shipped["webhooks"]:
        del webhook["failurePolicy"]
    assert configuration_of(shipped).has_policy(FailurePolicy.FAIL)


@pytest.mark.parametrize("bundle", ["no base64!", "", None])
def test_a_bundle_that_cannot_be_read_trusts_nobody(bundle: str | None) -> None:
    shipped = shipped_configuration()
    shipped["webhooks"][0]["clientConfig"]["caBundle"] = bundle
    assert configuration_of(shipped).trusted == frozenset()


def test_whoever_else_set_a_field_of_ours_is_known_by_name() -> None:
    shipped = shipped_configuration()
    shipped["metadata"]["managedFields"] = [
        owned(FIELD_MANAGER, "failurePolicy"),
        owned("kubectl-client-side-apply", "failurePolicy", "matchPolicy"),
        owned("cert-manager-cainjector", "caBundle"),
        owned("somebody", "timeoutSeconds"),
    ]
    assert configuration_of(shipped).others == ("cert-manager-cainjector", "kubectl-client-side-apply")
