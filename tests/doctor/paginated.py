"""An API server's reading side over objects in memory: lists in pages, label selectors, single objects.

As an ``Api`` for the survey within one process, and over HTTP for the program itself.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from app.cluster.client.connection import ApiRequest, Stream
from app.cluster.client.errors import refusal
from app.deadline import Deadline
from app.model.kinds import kind_of

Manifest = dict[str, Any]
_FORBIDDEN, _NOT_FOUND = 403, 404


class Paginated:
    """The objects by collection, and every request that was made."""

    def __init__(self, objects: Iterable[Manifest], *, forbidden: frozenset[str] = frozenset()) -> None:
        """``forbidden`` are resources, plural, that nobody may read."""
        self.requests: list[str] = []
        self._forbidden = forbidden
        self._pages: dict[tuple[str, ...], bytes] = {}
        self._lists: dict[str, list[Manifest]] = {}
        self._single: dict[str, Manifest] = {}
        for manifest in objects:
            kind, metadata = kind_of(manifest), manifest["metadata"]
            namespace = metadata.get("namespace", "")
            self._lists.setdefault(kind.path(), []).append(manifest)
            if namespace:
                self._lists.setdefault(kind.path(namespace), []).append(manifest)
            self._single[kind.path(namespace, metadata["name"])] = manifest

    def answer(self, path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        """Return status and body for a GET."""
        self.requests.append(path)
        if any(f"/{resource}" in path for resource in self._forbidden):
            said = (
                f"{path} is forbidden: services/proxy"
                if path.endswith("/healthz")
                else f"{path} is forbidden"
            )
            return _FORBIDDEN, json.dumps({"kind": "Status", "message": said}).encode()
        if path == "/version":
            return 200, b'{"major": "1", "minor": "37", "gitVersion": "v1.37.2"}'
        if path.endswith("/proxy/healthz"):
            return _NOT_FOUND, b"404 page not found"
        if path in self._single:
            return 200, json.dumps(self._single[path]).encode()
        if path in self._lists or path.rpartition("/")[2] in _PLURALS:
            key = path, *(query.get(name, "") for name in ("labelSelector", "limit", "continue"))
            if key not in self._pages:
                self._pages[key] = self._page(self._lists.get(path, []), query)
            return 200, self._pages[key]
        return _NOT_FOUND, b'{"kind": "Status", "message": "not found"}'

    @staticmethod
    def _page(items: list[Manifest], query: Mapping[str, str]) -> bytes:
        found = [item for item in items if _is_selected(item, query.get("labelSelector", ""))]
        start, limit = int(query.get("continue", "0")), int(query.get("limit", "0")) or len(found)
        metadata = {"resourceVersion": "1"}
        if start + limit < len(found):
            metadata["continue"] = str(start + limit)
        return json.dumps({"metadata": metadata, "items": found[start : start + limit]}).encode()

    def count(self) -> Counter[str]:
        """Return how often each path was asked for."""
        return Counter(self.requests)

    # -- as the survey's Api -------------------------------------------------------------------------------

    def fetch(self, request: ApiRequest, deadline: Deadline) -> bytes:  # noqa: ARG002 - the interface
        """Answer like a connection."""
        status, body = self.answer(request.path, request.query)
        if status != 200:
            raise refusal(status, body, request.purpose)
        return body

    def watch(self, request: ApiRequest, seconds: float) -> Stream:
        """Never: a survey looks once."""
        raise AssertionError((request, seconds))


_PLURALS = frozenset(
    {
        "namespaces",
        "networkpolicies",
        "services",
        "endpointslices",
        "pods",
        "deployments",
        "nodes",
        "customresourcedefinitions",
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
    }
)


def _is_selected(manifest: Manifest, selector: str) -> bool:
    labels = manifest["metadata"].get("labels") or {}
    pairs = [term.partition("=") for term in selector.split(",") if term]
    return all(labels.get(key) == value if sign else key in labels for key, sign, value in pairs)


def serve(objects: Paginated) -> ThreadingHTTPServer:
    """Return a server on loopback that answers with these objects; its caller runs and closes it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, body = objects.answer(parts.path, dict(parse_qsl(parts.query)))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)
