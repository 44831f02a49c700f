"""A healthy cluster as manifests, ways to break it, and doctor's look at it without a cluster.

The same manifests and the same changes are applied to a real API server in ``tests/integration``.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as dataclass_replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from app import __version__
from app.certificates.expiry import Validity
from app.certificates.issue import issue_serving, make_authority
from app.cli.examination import ExaminationOptions, context_of
from app.cluster.survey.folder import collected_from
from app.doctor.context import Context, Product
from app.doctor.examine import examine
from app.doctor.findings import Finding, Report
from app.model.survey import Call, CallOutcome
from app.shipped import DEPLOY
from app.wire.objects.services import ServiceKey
from app.wire.text.documents import read_documents

Manifest = dict[str, Any]
Key = tuple[str, str, str]
"""Kind, namespace and name."""

HERE = Path(__file__).parent
_SHIPPED = DEPLOY / "webhook.yaml"
OPERATOR: ServiceKey = ("iomete-system", "spark-operator-webhook")
API_SERVER = "10.99.0.1"
"""Where the API server is in the clusters of ``tests/kube``, too."""
GUARD: ServiceKey = ("netpol-guard", "netpol-guard")


def key_of(manifest: Mapping[str, Any]) -> Key:
    """Return kind, namespace and name of an object."""
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace", ""), metadata["name"]


def parse_key(text: str) -> Key:
    """Return the key that ``Kind namespace/name`` or ``Kind name`` means."""
    kind, _, rest = text.partition(" ")
    namespace, _, name = rest.rpartition("/")
    return kind, namespace, name


@cache
def certificates() -> Mapping[str, str]:
    """Return what the placeholders of ``healthy.yaml`` stand for, base64 as Secrets have it."""
    now = datetime.now(UTC)
    validity = Validity.lasting(timedelta(days=90), now - timedelta(days=60))
    authority = make_authority("the tests", validity)
    found = {"ca": authority.certificate, "other-ca": make_authority("another", validity).certificate}
    for name, (namespace, service) in (("operator", OPERATOR), ("guard", GUARD)):
        pair = issue_serving(authority, (f"{service}.{namespace}.svc",), validity)
        found |= {f"{name}.crt": pair.certificate, f"{name}.key": pair.key}
    old = Validity.lasting(timedelta(days=30), now - timedelta(days=31))
    soon = Validity.lasting(timedelta(days=30), now - timedelta(days=25))
    host = f"{OPERATOR[1]}.{OPERATOR[0]}.svc"
    found["expired.crt"] = issue_serving(authority, (host,), old).certificate
    found["expiring.crt"] = issue_serving(authority, (host,), soon).certificate
    found["misnamed.crt"] = issue_serving(authority, ("spark-operator-webhook",), validity).certificate
    return {name: base64.b64encode(pem).decode() for name, pem in found.items()} | {
        "version": __version__,
        "api-server": API_SERVER,
    }


def filled(text: str) -> str:
    """Return ``text`` with its placeholders filled in."""
    for name, value in certificates().items():
        text = text.replace("{{" + name + "}}", value)
    return text


def healthy() -> dict[Key, Manifest]:
    """Return the objects of a healthy cluster that somebody would apply."""
    return copy.deepcopy(_healthy())


@cache
def _healthy() -> dict[Key, Manifest]:
    text = filled((HERE / "healthy.yaml").read_text())
    objects = [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]
    registered = yaml.safe_load(_SHIPPED.read_text())
    for webhook in registered["webhooks"]:
        webhook["failurePolicy"] = "Fail"
        webhook["clientConfig"]["caBundle"] = certificates()["ca"]
    return {key_of(manifest): manifest for manifest in (*objects, registered)}


@dataclass(frozen=True, slots=True)
class Case:
    """A deliberately broken set-up: what is changed, what doctor must find first, and how it is repaired.

    ``repair`` is ``fix`` (``--fix`` does it), ``command`` (the command shown does it) or ``person``.
    """

    name: str
    change: tuple[Manifest, ...]
    finds: str
    follows: tuple[str, ...] = ()
    says: str = ""
    repair: str = "person"
    severity: str = "error"
    calls: Mapping[str, str] = field(default_factory=dict)
    scene: str = "any"


def cases() -> tuple[Case, ...]:
    """Return all cases of ``cases.yaml``."""
    read = yaml.safe_load(filled((HERE / "cases.yaml").read_text()))
    return tuple(
        Case(**{**case, "change": tuple(case["change"]), "follows": tuple(case.get("follows", ()))})
        for case in read
    )


def changed(objects: Mapping[Key, Manifest], change: Iterable[Manifest]) -> dict[Key, Manifest]:
    """Return the objects after the changes: ``patch`` or ``edit`` ``with``, ``delete``, ``create``."""
    result = copy.deepcopy(dict(objects))
    for step in change:
        if "delete" in step:
            del result[parse_key(step["delete"])]
        elif "create" in step:
            result[key_of(step["create"])] = copy.deepcopy(step["create"])
        elif "edit" in step:
            key = parse_key(step["edit"])
            result[key] = edited(result[key], step["with"])
        else:
            key = parse_key(step["patch"])
            result[key] = merged(result[key], step["with"])
    return result


def merged(value: Any, patch: Any) -> Any:  # noqa: ANN401 - JSON
    """Return ``value`` after a merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for name, change in patch.items():
        if change is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), change)
    return result


def edited(manifest: Manifest, patch: Iterable[Manifest]) -> Manifest:
    """Return the object after a JSON patch (RFC 6902) of ``add``, ``replace`` and ``remove``."""
    result = copy.deepcopy(manifest)
    for operation in patch:
        *parents, last = operation["path"].removeprefix("/").split("/")
        place: Any = result
        for name in parents:
            place = place[int(name) if isinstance(place, list) else name]
        if operation["op"] == "remove":
            del place[last]
        else:
            place[last] = operation["value"]
    return result


def with_status(manifest: Manifest) -> Manifest:
    """Return the object with the status that a controller would give it."""
    if manifest["kind"] != "Deployment":
        return manifest
    ready = sum(pod["status"]["conditions"][0]["status"] == "True" for pod in _pods(manifest))
    return {**manifest, "status": {"readyReplicas": ready}}


def controlled(objects: Mapping[Key, Manifest]) -> Iterator[Manifest]:
    """Yield what controllers and kubelets would make of the objects: pods, and the endpoints of Services."""
    pods = [
        pod for manifest in objects.values() if manifest["kind"] == "Deployment" for pod in _pods(manifest)
    ]
    yield from pods
    for manifest in objects.values():
        if manifest["kind"] == "Service":
            yield _slice(manifest, pods)
    yield _endpoints(
        "default", "kubernetes", [API_SERVER], [{"name": "https", "port": 6443, "protocol": "TCP"}]
    )
    for name in ("default", "kube-system"):
        labels = {"kubernetes.io/metadata.name": name}
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _pods(deployment: Manifest) -> Iterator[Manifest]:
    spec, metadata = deployment["spec"], deployment["metadata"]
    annotations = metadata.get("annotations", {})
    ready = annotations.get("tests/ready", "true") == "true"
    for index in range(0 if "tests/no-pods" in annotations else spec["replicas"]):
        yield {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{metadata['name']}-{index}",
                "namespace": metadata["namespace"],
                "labels": spec["template"]["metadata"]["labels"],
            },
            "spec": spec["template"]["spec"],
            "status": {
                "phase": "Running",
                "podIP": f"10.1.0.{index + 1}",
                "conditions": [{"type": "Ready", "status": str(ready)}],
                "containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]
                if not ready
                else [],
            },
        }


def _slice(service: Manifest, pods: list[Manifest]) -> Manifest:
    spec, metadata = service["spec"], service["metadata"]
    selected = [
        pod
        for pod in pods
        if pod["metadata"]["namespace"] == metadata["namespace"]
        and spec.get("selector", {}).items() <= pod["metadata"]["labels"].items()
    ]
    ports = [found for port in spec["ports"] for found in _resolved(port, selected)]
    made = _endpoints(metadata["namespace"], metadata["name"], [], ports)
    made["endpoints"] = [
        {
            "addresses": [pod["status"]["podIP"]],
            "conditions": {"ready": pod["status"]["conditions"][0]["status"] == "True"},
        }
        for pod in selected
    ]
    return made


def _resolved(port: Manifest, pods: list[Manifest]) -> Iterator[Manifest]:
    target = port.get("targetPort", port["port"])
    if isinstance(target, str):
        named = [
            each["containerPort"]
            for pod in pods
            for container in pod["spec"]["containers"]
            for each in container.get("ports", ())
            if each.get("name") == target
        ]
        if not named:
            return
        target = named[0]
    yield {"name": port.get("name", ""), "port": target, "protocol": port.get("protocol", "TCP")}


def _endpoints(namespace: str, service: str, addresses: list[str], ports: list[Manifest]) -> Manifest:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service}-1",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        "ports": ports,
    }


def examined(
    objects: Mapping[Key, Manifest], *, calls: Mapping[str, str] | None = None, only: Iterable[str] = ()
) -> Report:
    """Return doctor's report on the objects; webhooks answer unless ``calls`` says otherwise."""
    return examine(context(objects, calls=calls, only=only))


def context(
    objects: Mapping[Key, Manifest], *, calls: Mapping[str, str] | None = None, only: Iterable[str] = ()
) -> Context:
    """Return what the checks get to see of the objects."""
    documents = [
        document
        for manifest in (*map(with_status, objects.values()), *controlled(objects))
        for document in read_documents(json.dumps(manifest), "<test>")
    ]
    given = ExaminationOptions(only=frozenset(only))
    collected = collected_from(documents, Product.shipped().service)
    seen = context_of(collected, given)
    answers = {OPERATOR: Call(CallOutcome.ANSWERED, 0.004), GUARD: Call(CallOutcome.ANSWERED, 0.003)}
    for name, outcome in (calls or {}).items():
        namespace, _, service = name.partition("/")
        said = "dial tcp 10.1.0.1:9443: i/o timeout"
        answers[namespace, service] = (
            Call(CallOutcome.ANSWERED, 7.5) if outcome == "slow" else Call(CallOutcome(outcome), 10.0, said)
        )
    return dataclass_replace(seen, survey=dataclass_replace(seen.survey, calls=answers))


def all_checks(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield the checks of findings and of their symptoms."""
    for finding in findings:
        yield finding.check.value
        yield from all_checks(finding.symptoms)
