"""Through which addresses the API servers of a cluster can be asked, each by itself where that is possible.

Every endpoint of ``default/kubernetes`` is one API server. It is asked at its own address where that can be
reached and its certificate is valid for it; never with verification switched off, as credentials go along.
The kubeconfig's own address is asked, too: it may be a load balancer in front of more.
"""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.cluster.client.connection import ApiRequest, ClientConfiguration, Connection
from app.cluster.client.errors import HttpRefusal, Purpose
from app.cluster.client.objects import Objects
from app.cluster.state.sources import api_server_endpoints
from app.deadline import Deadline
from app.engine.addresses import networks_of
from app.errors import StateUnreadable
from app.model.kinds import ENDPOINT_SLICE
from app.model.measurement import Reach
from app.wire.objects.services import SERVICE_NAME_LABEL, endpointslice_facts

_REACH_SECONDS = 5.0
_HTTPS = 443


@dataclass(frozen=True, slots=True)
class ApiServerEndpoint:
    """One address to ask through; ``name`` is host and port."""

    name: str
    reach: Reach
    connection: Connection


@dataclass(frozen=True, slots=True)
class ApiServerEndpoints:
    """All addresses to ask through; ``unasked`` are the API servers that cannot be asked alone.

    ``notes`` say why.
    """

    usable: tuple[ApiServerEndpoint, ...]
    notes: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()


def find_endpoints(config: ClientConfiguration, objects: Objects) -> ApiServerEndpoints:
    """Return through which addresses to ask; ``objects`` reads through the kubeconfig's own.

    Raises ``StateUnreadable`` where the API server cannot be reached.
    """
    parts, connection = urlsplit(config.host), Connection(copy.copy(config))
    own = _host_port(parts.hostname or "", parts.port or _HTTPS)
    try:
        endpoints = _endpoints(objects)
    except HttpRefusal as error:
        return ApiServerEndpoints((ApiServerEndpoint(own, Reach.SHARED, connection),), (str(error),))
    first = ApiServerEndpoint(own, Reach.SINGLE if own in endpoints else Reach.SHARED, connection)
    others = [endpoint for endpoint in endpoints if endpoint != own]
    if not config.verify_ssl:
        why = "the kubeconfig switches the verification of certificates off"
        return ApiServerEndpoints((first,), tuple(_cannot(other, why) for other in others), tuple(others))
    with ThreadPoolExecutor(max(1, len(others))) as pool:
        looked = list(pool.map(lambda name: _single(config, name), others))
    usable = tuple(place for place in looked if isinstance(place, ApiServerEndpoint))
    unasked = tuple(name for name, place in zip(others, looked, strict=True) if isinstance(place, str))
    notes = tuple(place for place in looked if isinstance(place, str))
    return ApiServerEndpoints((first, *usable), notes, unasked)


def _endpoints(objects: Objects) -> list[str]:
    slices = objects.list(ENDPOINT_SLICE, "default", f"{SERVICE_NAME_LABEL}=kubernetes")
    return [
        _host_port(str(next(networks_of(endpoint.addresses)).network_address), endpoint.port)
        for endpoint in api_server_endpoints(endpointslice_facts(manifest) for manifest in slices)
    ]


def _single(config: ClientConfiguration, name: str) -> ApiServerEndpoint | str:
    """Return the API server as an endpoint to ask, or why it cannot be one."""
    its = copy.copy(config)
    its.host = f"https://{name}"
    its.tls_server_name = None  # that of the kubeconfig's own address
    connection = Connection(its)
    purpose = Purpose(f"the version of API server {name}", "get", "", "")
    try:
        connection.fetch(ApiRequest(purpose, "/version"), Deadline.after(_REACH_SECONDS))
    except StateUnreadable as error:
        return _cannot(name, error.why)
    finally:
        connection.close()
    return ApiServerEndpoint(name, Reach.SINGLE, connection)


def _cannot(name: str, why: str) -> str:
    return f"API server {name} cannot be asked by itself: {why}"


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
