"""The embedded run: a certificate of its own, and realistic changes submitted over HTTPS."""

from __future__ import annotations

import http.client
import json
import shutil
import ssl
import sys
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer
import yaml

from app.certificates.expiry import Validity
from app.certificates.issue import issue_serving, make_authority
from app.names import NAMESPACES_WEBHOOK, POLICIES_WEBHOOK
from app.shipped import CHANGES

_WEBHOOKS = {"networkpolicies": POLICIES_WEBHOOK, "namespaces": NAMESPACES_WEBHOOK}
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DemoChange:
    """One change of the demonstration, read from ``deploy/changes``."""

    title: str
    command: str
    request: Object


def own_certificate(folder: Path) -> tuple[Path, Path, Path]:
    """Write a certificate for localhost into ``folder``; return certificate, key and authority."""
    validity = Validity.lasting(timedelta(days=7), datetime.now(UTC))
    authority = make_authority("netpol-guard embedded", validity)
    serving = issue_serving(authority, ("localhost", "127.0.0.1"), validity)
    files = folder / "tls.crt", folder / "tls.key", folder / "ca.crt"
    for file, pem in zip(files, (serving.certificate, serving.key, authority.certificate), strict=True):
        file.touch(mode=0o600)
        file.write_bytes(pem)
    return files


def read_changes(folder: Path = CHANGES) -> tuple[DemoChange, ...]:
    """Return the changes of the demonstration, in the order of their files' names."""
    found = []
    for file in sorted(folder.glob("*.yaml")):
        change = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
        found.append(DemoChange(change["title"], change["command"], _request(change)))
    return tuple(found)


def _request(change: Object) -> Object:
    new, old = change.get("object"), change.get("oldObject")
    subject: Object = new or old or {}
    is_namespace = subject["kind"] == "Namespace"
    group, resource = ("", "namespaces") if is_namespace else ("networking.k8s.io", "networkpolicies")
    metadata = subject["metadata"]
    return {
        "uid": str(uuid.uuid4()),
        "kind": {"group": group, "version": "v1", "kind": subject["kind"]},
        "resource": {"group": group, "version": "v1", "resource": resource},
        "operation": change["operation"],
        "name": metadata["name"],
        "namespace": metadata["name"] if is_namespace else metadata["namespace"],
        "userInfo": {"username": "developer", "groups": ["system:authenticated"]},
        "object": new,
        "oldObject": old,
        "dryRun": False,
    }


def show_changes(port: int, authority: Path, state: Path) -> None:
    """Submit every change to the webhook on ``port``, and print each answer as kubectl would.

    Then say how to go on: with the first change as a review that stands in a file, and by other commands.
    """
    context = ssl.create_default_context(cafile=str(authority))
    changes = read_changes()
    typer.echo(f"netpol-guard serves https://localhost:{port}/validate with the cluster of {state}.")
    typer.echo(f"{len(changes)} changes that people make, and what kubectl would show them:\n")
    for change in changes:
        typer.secho(f"# {change.title}", fg=typer.colors.CYAN)
        typer.echo(f"$ {change.command}")
        typer.echo(as_kubectl_shows(submit(change.request, port, context), change.request) + "\n")
    review = authority.with_name("review.json")
    review.write_text(json.dumps(_review(changes[0].request), indent=2))
    typer.secho("Try a change of your own: edit the review in this file, and send it", fg=typer.colors.CYAN)
    typer.echo(
        f"  curl --cacert {authority} -H 'Content-Type: application/json' "
        f"--data @{review} https://localhost:{port}/validate"
    )
    typer.secho("Or judge a manifest, or a single flow, by the same cluster", fg=typer.colors.CYAN)
    program = "netpol-guard" if shutil.which("netpol-guard") else f"{from_here(Path(sys.executable))} -m app"
    flow = "--from monitoring --to data-plane-science --port 9090"
    typer.echo(f"  {program} check FILE --state {state}")
    typer.echo(f"  {program} explain --state {state} {flow}")
    typer.echo("\nCtrl-C ends it.")


def from_here(path: Path) -> Path:
    """Return a path as it is typed where we are."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _review(request: Object) -> Object:
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def submit(request: Object, port: int, context: ssl.SSLContext) -> Object:
    """Return the webhook's response to ``request``."""
    connection = http.client.HTTPSConnection("localhost", port, timeout=10, context=context)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/validate?timeout=5s", json.dumps(_review(request)), headers)
        response: Object = json.loads(connection.getresponse().read())["response"]
        return response
    finally:
        connection.close()


def as_kubectl_shows(response: Object, request: Object) -> str:
    """Return what kubectl prints for ``response``."""
    lines = [f"Warning: {warning}" for warning in response.get("warnings", ())]
    webhook = _WEBHOOKS[request["resource"]["resource"]]
    if response["allowed"]:
        verb = {"CREATE": "created", "UPDATE": "configured", "DELETE": "deleted"}[request["operation"]]
        kind = "namespace" if webhook.startswith("namespaces") else "networkpolicy.networking.k8s.io"
        return "\n".join((*lines, f"{kind}/{request['name']} {verb}"))
    message = response["status"]["message"]
    refusal = f'Error from server (Forbidden): admission webhook "{webhook}" denied the request: {message}'
    return "\n".join((*lines, refusal))
