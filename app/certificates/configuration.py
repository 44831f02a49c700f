"""The guard's own webhook configuration, of which it owns two fields: ``caBundle`` and ``failurePolicy``.

The manifests ship neither a bundle nor ``Fail``, and whoever applies them again resets the policy: so both
are looked after for as long as the guard runs. Fields are written by server-side apply, merged by webhook
name; whatever else stands in the configuration is its author's.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.certificates.pairs import bundle_of, fingerprints
from app.model.kinds import VALIDATING, Manifest, Reference
from app.names import (
    FAILURE_POLICY_ANNOTATION,
    FIELD_MANAGER,
    NAME,
    NAMESPACES_WEBHOOK,
    POLICIES_WEBHOOK,
    SERVICE_HOST,
    FailurePolicy,
)

CONFIGURATION = Reference(VALIDATING, NAME)
_FIELDS = re.compile('"f:(failurePolicy|caBundle)"')
_OUR_WEBHOOKS = (POLICIES_WEBHOOK, NAMESPACES_WEBHOOK)


@dataclass(frozen=True, slots=True)
class OwnWebhook:
    """What one webhook of ours has of the fields that are the guard's."""

    name: str
    bundle: bytes
    failure_policy: FailurePolicy


@dataclass(frozen=True, slots=True)
class OwnConfiguration:
    """The configuration as it stands.

    ``wanted`` is what its annotation asks for, if it does; ``written``: when the guard last changed a field;
    ``others``: the managers beside the guard that set a field of ours last.
    """

    version: str
    webhooks: tuple[OwnWebhook, ...]
    wanted: FailurePolicy | None = None
    written: datetime | None = None
    others: tuple[str, ...] = ()

    @property
    def trusted(self) -> frozenset[str]:
        """The fingerprints of the authorities that every webhook of ours trusts."""
        found = [frozenset(fingerprints(webhook.bundle)) for webhook in self.webhooks]
        return frozenset.intersection(*found) if found else frozenset()

    @property
    def bundle(self) -> bytes:
        """The certificates of all authorities that any webhook of ours trusts."""
        return bundle_of(webhook.bundle for webhook in self.webhooks)

    def has_bundle(self, bundle: bytes) -> bool:
        """Tell whether every webhook of ours trusts what is in ``bundle``, and nothing else."""
        return all(fingerprints(webhook.bundle) == fingerprints(bundle) for webhook in self.webhooks)

    def has_policy(self, policy: FailurePolicy) -> bool:
        """Tell whether every webhook of ours has this policy."""
        return all(webhook.failure_policy is policy for webhook in self.webhooks)

    def with_bundle(self, bundle: bytes) -> OwnConfiguration:
        """Return the configuration with this bundle in every webhook of ours."""
        return replace(self, webhooks=tuple(replace(webhook, bundle=bundle) for webhook in self.webhooks))

    def with_policy(self, policy: FailurePolicy) -> OwnConfiguration:
        """Return the configuration with this policy in every webhook of ours."""
        webhooks = tuple(replace(webhook, failure_policy=policy) for webhook in self.webhooks)
        return replace(self, webhooks=webhooks)


def configuration_of(manifest: Manifest) -> OwnConfiguration:
    """Return what the guard needs to know of the manifest; ours are the webhooks that lead to our Service."""
    metadata = manifest["metadata"]
    annotation = metadata.get("annotations", {}).get(FAILURE_POLICY_ANNOTATION)
    wanted = next((policy for policy in FailurePolicy if policy.value == annotation), None)
    webhooks = tuple(_webhook(webhook) for webhook in manifest.get("webhooks") or () if _is_ours(webhook))
    version = metadata.get("resourceVersion", "")
    return OwnConfiguration(version, webhooks, wanted, _written(metadata), _others(metadata))


def apply_patch(configuration: OwnConfiguration, *, owns_bundle: bool) -> Manifest:
    """Return what is to be applied so that our fields are those of ``configuration``.

    All fields of ours every time: server-side apply takes away what its manager no longer names. It holds
    only for the version that was read: a replica with old news must not overwrite a newer bundle.
    """
    return {
        "apiVersion": VALIDATING.version,
        "kind": VALIDATING.name,
        "metadata": {"name": NAME, "resourceVersion": configuration.version},
        "webhooks": [
            {
                "name": webhook.name,
                "failurePolicy": webhook.failure_policy.value,
                **({"clientConfig": {"caBundle": _encoded(webhook.bundle)}} if owns_bundle else {}),
            }
            for webhook in configuration.webhooks
        ],
    }


def _is_ours(webhook: Mapping[str, Any]) -> bool:
    service = (webhook.get("clientConfig") or {}).get("service") or {}
    host = f"{service.get('name')}.{service.get('namespace')}.svc"
    return webhook.get("name") in _OUR_WEBHOOKS and host == SERVICE_HOST


def _written(metadata: Mapping[str, Any]) -> datetime | None:
    """Return the time of our entry among the managed fields: when we last changed the value of a field."""
    for entry in metadata.get("managedFields") or ():
        if (entry.get("manager"), entry.get("operation")) == (FIELD_MANAGER, "Apply"):
            with suppress(ValueError, TypeError):
                return datetime.fromisoformat(entry.get("time"))
    return None


def _others(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    entries = metadata.get("managedFields") or ()
    setting = [entry for entry in entries if _FIELDS.search(json.dumps(entry.get("fieldsV1")))]
    return tuple(sorted({str(entry.get("manager")) for entry in setting} - {FIELD_MANAGER}))


def _webhook(webhook: Mapping[str, Any]) -> OwnWebhook:
    try:
        bundle = base64.b64decode(webhook["clientConfig"].get("caBundle") or "")
    except (binascii.Error, ValueError):
        bundle = b""
    # Absent means Fail: "Defaults to Fail", says admissionregistration.k8s.io/v1.
    policy = FailurePolicy.IGNORE if webhook.get("failurePolicy") == "Ignore" else FailurePolicy.FAIL
    return OwnWebhook(webhook["name"], bundle, policy)


def _encoded(bundle: bytes) -> str:
    return base64.b64encode(bundle).decode("ascii")
