"""What the guard's own objects are called, and the words by which they are told from others'.

The same names stand in ``deploy/``; a test holds the two against each other.
"""

from __future__ import annotations

from enum import StrEnum

NAME = "netpol-guard"
"""Namespace, Service, Deployment, ServiceAccount, webhook configuration, roles, budget and policy of ours."""
DOMAIN = "netpol-guard.iomete.com"

TLS_SECRET = "netpol-guard-tls"  # noqa: S105 - the name of a Secret is none
SETTINGS_CONFIG_MAP = "netpol-guard-settings"
SETTINGS_KEY = "settings.yaml"
SOURCES_CONFIG_MAP = "netpol-guard-sources"
"""Where the measured sources of the API server's calls are kept."""
WEBHOOK_SERVICES_CONFIG_MAP = "netpol-guard-webhook-services"
"""Where is kept what the Services of webhooks were, for when one is missing."""
LEDGER_CONFIG_MAP = "netpol-guard-ledger"
"""Where changes stand that were admitted and are not seen to be made yet."""

LEDGER_METRIC, WEBHOOK_SERVICES_METRIC = "ledger_in_use", "webhook_services_kept"
"""By which a replica says whether it uses one and keeps the other; each begins with ``netpol_guard_``."""

NAME_LABEL = "app.kubernetes.io/name"
VERSION_LABEL = "app.kubernetes.io/version"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
OURS = (MANAGED_BY_LABEL, NAME)
"""The label that whatever we install carries."""

POLICIES_WEBHOOK = f"networkpolicies.{DOMAIN}"
NAMESPACES_WEBHOOK = f"namespaces.{DOMAIN}"
SERVICE_HOST = f"{NAME}.{NAME}.svc"
"""The name that the API server verifies the serving certificate for."""
SERVICE_ACCOUNT_USER = f"system:serviceaccount:{NAME}:{NAME}"

FIELD_MANAGER = NAME
"""The guard's own field manager: of caBundle and failurePolicy in its configuration. Commands have others."""

ROLE_LABEL = f"{DOMAIN}/role"
"""On NetworkPolicies of ours in managed namespaces: what each is for."""
MODE_LABEL = f"{DOMAIN}/mode"
OVERRIDE_ANNOTATION = f"{DOMAIN}/override"
FAILURE_POLICY_ANNOTATION = f"{DOMAIN}/failure-policy"
"""On the webhook configuration: the failurePolicy that the guard is to keep there, ``Ignore`` or ``Fail``.

It goes before the setting ``webhook.failurePolicy``. Whoever installs step by step writes ``Ignore`` with the
configuration, and takes it away (or writes ``Fail``) in the end; the guard then raises the policy by itself.
"""
SERVING_ANNOTATION = f"{DOMAIN}/serving"
"""On each of the guard's Pods: under which authority it serves, and which bundle it knows."""


class FailurePolicy(StrEnum):
    """What the API server does with a request that no guard answers (``admissionregistration.k8s.io/v1``)."""

    FAIL = "Fail"
    IGNORE = "Ignore"
