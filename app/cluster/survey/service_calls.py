"""A real connection from the API server to a Service, through its proxy: can it reach the pods, and how fast?

``GET /api/v1/namespaces/NS/services/https:NAME:PORT/proxy/...`` makes the API server connect to an endpoint
of the Service as it does for a webhook. Whatever the pod answers, even 404, shows that it was reached; the
certificate is not verified on this way.
"""

from __future__ import annotations

import re
import time
from http import HTTPStatus

from app.cluster.client.connection import Api, ApiRequest
from app.cluster.client.errors import HttpRefusal, Purpose
from app.deadline import Deadline
from app.errors import StateUnreadable
from app.model.survey import Call, CallOutcome, ConfigMapUse
from app.names import LEDGER_METRIC
from app.wire.objects.services import ServiceKey

_SECONDS = 10.0
_PATH = "/healthz"
_OTHERS = re.compile(rb"^netpol_guard_replicas_without_ledger [1-9]", re.MULTILINE)
_UNREACHED = ("error trying to reach service", "no endpoints available", "no service port")
"""How the API server says that it did not get through (``pkg/registry/core/service/storage``)."""


def call_service(api: Api, key: ServiceKey, port: int) -> tuple[Call | None, HttpRefusal | None]:
    """Return how it went; without the permission to try, the refusal instead. Blocks; never raises."""
    namespace, name = key
    purpose = Purpose(f"a call of Service {namespace}/{name}", "get", "", "services/proxy", namespace)
    path = f"/api/v1/namespaces/{namespace}/services/https:{name}:{port}/proxy{_PATH}"
    begun = time.monotonic()

    def call(outcome: CallOutcome, said: str = "") -> Call:
        return Call(outcome, time.monotonic() - begun, said)

    try:
        api.fetch(ApiRequest(purpose, path), Deadline.after(_SECONDS))
    except HttpRefusal as error:
        if error.status == HTTPStatus.FORBIDDEN and "services/proxy" in error.said:
            return None, error
        if any(words in error.said for words in _UNREACHED):
            return call(CallOutcome.FAILED, error.said), None
        return call(CallOutcome.ANSWERED), None
    except StateUnreadable as error:
        return call(CallOutcome.FAILED, error.why), None
    return call(CallOutcome.ANSWERED), None


def use_told(api: Api, namespace: str, service: str, metric: str) -> ConfigMapUse:
    """Return what one of the guard's replicas says of a ConfigMap, by a metric. Blocks; never raises."""
    purpose = Purpose(f"the metrics of {namespace}/{service}", "get", "", "services/proxy", namespace)
    path = f"/api/v1/namespaces/{namespace}/services/http:{service}:metrics/proxy/metrics"
    try:
        told = api.fetch(ApiRequest(purpose, path), Deadline.after(_SECONDS))
    except StateUnreadable:
        return ConfigMapUse.UNKNOWN  # whether the guard is reached at all is asked for itself
    if metric == LEDGER_METRIC and _OTHERS.search(told):
        return ConfigMapUse.BESIDE_OTHERS
    lines = told.splitlines()
    if f"netpol_guard_{metric} 0.0".encode() in lines:
        return ConfigMapUse.UNUSED
    is_used = f"netpol_guard_{metric} 1.0".encode() in lines
    return ConfigMapUse.USED if is_used else ConfigMapUse.UNKNOWN
