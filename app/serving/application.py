"""The two applications: the webhook's on its TLS port, and health and metrics on a port of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from app import __version__
from app.logs import EventLog
from app.metrics import Metrics
from app.serving.endpoint import RequestLimits, Validate, send_reply
from app.serving.reviews import Readiness, Reviews, error_reply
from app.serving.state import ServingState

VALIDATE_PATH = "/validate"

_LOG = EventLog("app.serving")


def _ending_the_connection(send: Send) -> Send:
    """Tell the client that the next request needs a new connection, which then goes to another replica."""

    async def ending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await send(message)

    return ending


class _Application(FastAPI):
    """FastAPI with one layer around its router: errors as JSON, never a 500; connections end while draining.

    FastAPI's own layers serve parameters, forms and telemetry, which no route here has, and take longer than
    all else that happens to a review before it is decided. Of ``direct``, which are routes too, not even the
    router is asked: it would be a tenth of what a review costs.
    """

    def __init__(
        self,
        state: ServingState,
        *routes: Route,
        direct: Mapping[tuple[str, str], Callable[..., Awaitable[None]]] | None = None,
    ) -> None:
        # No pages of documentation: they would be one more thing to reach on the webhook's port.
        super().__init__(
            title="netpol-guard",
            version=__version__,
            routes=list(routes),
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
        )
        self._serving_state = state
        self._direct = direct or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to the router, and answer what no route answered."""
        scope["app"] = self  # what makes the router raise a 404 or 405 instead of answering in plain text
        if self._serving_state.is_draining:
            send = _ending_the_connection(send)
        try:
            answer = self._direct.get((scope["method"], scope["path"]), self.router)
            await answer(scope, receive, send)
        except HTTPException as error:
            wording = f"{scope['method']} {scope['path']}: {HTTPStatus(error.status_code).phrase}"
            headers = tuple((name.lower(), value) for name, value in (error.headers or {}).items())
            await send_reply(error_reply(error.status_code, wording, scope["path"], headers), send)
        except Exception as error:  # noqa: BLE001 - the last resort: whatever it is, the answer is no 500
            _LOG.failure("request failed", error, path=scope["path"])
            await send_reply(error_reply(400, "this request could not be handled", scope["path"]), send)


def create_app(reviews: Reviews, *, limits: RequestLimits, metrics: Metrics, state: ServingState) -> FastAPI:
    """Return the webhook's application: `POST /validate`, and nothing else."""
    validate = Validate(reviews, limits, metrics.record_refusal)
    metrics.watch_in_flight(lambda: validate.in_flight)
    route = Route(VALIDATE_PATH, endpoint=validate, methods=["POST"], name="validate")
    return _Application(state, route, direct={("POST", VALIDATE_PATH): validate})


def create_health_app(readiness: Readiness, *, metrics: Metrics, state: ServingState) -> FastAPI:
    """Return the application for the kubelet and Prometheus: `/healthz`, `/readyz` and `/metrics`."""

    async def healthz(_: Request) -> Response:
        held = state.held()
        if held is not None:
            return JSONResponse({"status": "not alive", "reasons": [held]}, 503)
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        reasons = state.reasons() + readiness()
        if reasons:
            return JSONResponse({"status": "not ready", "reasons": list(reasons)}, 503)
        return JSONResponse({"status": "ready"})

    async def scraped(_: Request) -> Response:
        body, media_type = metrics.render()
        return Response(body, media_type=media_type)

    routes = Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", scraped)
    return _Application(state, *routes)
