"""``netpol-guard explain``: one flow, and what the policies say about it."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.audit.flows import End, Flow, explain_flow
from app.cli.group import Example
from app.cluster.directory import DirectoryState
from app.engine.addresses import place_of
from app.engine.ports import LAST_PORT, Protocol, position
from app.errors import InputError
from app.wire.state import Scope

if TYPE_CHECKING:
    from app.engine.cluster import Cluster

_SECONDS = 30.0
EXAMPLES: tuple[Example, ...] = (
    (
        "A service of the control plane, from any pod of a data plane",
        "netpol-guard explain --state deploy/sample --from data-plane-science \\",
        "    --to iomete-system/service=spark-operator --port 15002",
    ),
    (
        "The webhook, from the API server",
        "netpol-guard explain --state deploy/sample --from 10.20.0.10 \\",
        "    --to iomete-system/service=spark-operator --port 9443",
    ),
)


def command(
    state: Annotated[Path, typer.Option(help="A folder of manifests as kubectl get -o yaml prints them.")],
    source: Annotated[str, typer.Option("--from", help="namespace/key=value,... or an address.")],
    destination: Annotated[str, typer.Option("--to", help="namespace/key=value,... or an address.")],
    port: Annotated[str, typer.Option(help="443, 53/UDP, or 8080/TCP/http with the port's name.")] = "443",
) -> int:
    """Say whether a flow is allowed, and by which policies.

    Names the rule that allows it, or the policies that isolate the pod. Exit code 0: allowed; 1: denied.
    """
    reader = DirectoryState(state)
    reader.refresh()
    ends = parse_end("--from", source), parse_end("--to", destination)
    cluster = asyncio.run(_read(reader, ends))
    place, names = parse_port(port)
    halves = explain_flow(cluster, Flow(ends[0], ends[1], place, names))
    is_allowed = all(one.is_allowed for one in halves)
    typer.echo(f"{source} -> {destination} {port}: {'allowed' if is_allowed else 'DENIED'}")
    for half in halves:
        word = "allowed" if half.is_allowed else "DENIED"
        typer.echo(f"  {half.direction.field:<8} {word}")
        for reason in half.reasons:
            typer.echo(f"           {reason}")
    return 0 if is_allowed else 1


async def _read(state: DirectoryState, ends: tuple[End, End]) -> Cluster:
    cluster = await state.read(Scope.managed(), timeout=_SECONDS)
    policies = dict(cluster.policies)
    for end in ends:
        if end.namespace is None:
            continue
        if end.namespace not in cluster.namespaces:
            known = ", ".join(sorted(cluster.namespaces))
            raise InputError(end.namespace, f"no such namespace in the state; there are {known}")
        one = await state.read(Scope.namespace(end.namespace), timeout=_SECONDS)
        policies.update(one.policies)
    return type(cluster)(cluster.namespaces, policies)


def parse_end(option: str, text: str) -> End:
    """Return the end that ``text`` names: an address, or ``namespace`` or ``namespace/key=value,...``."""
    try:
        return End(address=place_of(ip_address(text)))
    except ValueError:
        pass
    namespace, _, labels = text.partition("/")
    pairs = [one.partition("=") for one in labels.split(",") if one]
    if not namespace or any(not sign for _, sign, _ in pairs):
        raise InputError(option, f"{text!r} is neither an address nor namespace/key=value,key=value")
    return End(namespace, {key: value for key, _, value in pairs})


def parse_port(text: str) -> tuple[int, frozenset[str]]:
    """Return place and names for ``443``, ``53/UDP`` or ``8080/TCP/http`` (the pod's name for it)."""
    number, _, rest = text.partition("/")
    protocol, _, name = rest.partition("/")
    known = {one.value for one in Protocol}
    if not number.isdigit() or not 1 <= int(number) <= LAST_PORT or (protocol or "TCP").upper() not in known:
        raise InputError("--port", f"{text!r} is no port such as 443, 53/UDP or 8080/TCP/http")
    names = frozenset({name}) if name else frozenset()
    return position(Protocol((protocol or "TCP").upper()), int(number)), names
