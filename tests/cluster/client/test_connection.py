from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kubernetes.client.configuration import Configuration

from app.cluster.client.asynchronous import AsyncConnection
from app.cluster.client.connection import ApiRequest, Connection, configuration, context_namespace
from app.cluster.client.errors import HttpRefusal, Purpose, refusal
from app.cluster.client.server import ask, review_of
from app.deadline import Deadline
from app.errors import SettingsError, StateUnreadable
from app.model.access import AccessQuestion
from tests.cluster.fake_api import FakeApi

WANTED = Purpose("the things of namespace one", "list", "example.test", "things", "one")
THINGS = ApiRequest(WANTED, "/things", {"limit": "500", "labelSelector": "a=b,c"})


def answer(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


@contextmanager
def server(*connections: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    """Serve one connection after the other as told; yield the URL, and what was received."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for handle in connections:
                accepted, _ = listener.accept()
                with accepted:
                    accepted.settimeout(10)
                    handle(_Recorded(accepted, received))  # type: ignore[arg-type]  # as good as a socket here

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", received
        thread.join(10)


class _Recorded:
    """A socket that keeps what it receives."""

    def __init__(self, inner: socket.socket, received: list[bytes]) -> None:
        self._inner, self._received = inner, received

    def recv(self, size: int) -> bytes:
        data = self._inner.recv(size)
        self._received.append(data)
        return data

    def sendall(self, data: bytes) -> None:
        self._inner.sendall(data)


def settings(url: str, token: str = "") -> Configuration:
    config = Configuration()
    config.host = url
    if token:
        config.api_key["BearerToken"] = f"Bearer {token}"
    return config


def connection(url: str) -> Connection:
    return Connection(settings(url))


Fetch = Callable[[Configuration, Deadline], bytes]


def blocking(config: Configuration, deadline: Deadline) -> bytes:
    return Connection(config).fetch(THINGS, deadline)


def asynchronous(config: Configuration, deadline: Deadline) -> bytes:
    async def fetch() -> bytes:
        api = AsyncConnection(config)
        try:
            return await api.fetch(THINGS, deadline)
        finally:
            await api.close()

    return asyncio.run(fetch())


@pytest.fixture(params=[blocking, asynchronous], ids=lambda way: str(way.__name__))
def fetch(request: pytest.FixtureRequest) -> Fetch:
    """Both ways to ask for the things, which keep the same promises."""
    way: Fetch = request.param
    return way


def replying(*bodies: bytes) -> Callable[[socket.socket], None]:
    def handle(peer: socket.socket) -> None:
        for body in bodies:
            peer.recv(65536)
            peer.sendall(body)

    return handle


def test_a_request_carries_the_token_and_its_query_and_returns_the_body(fetch: Fetch) -> None:
    with server(replying(answer(b"{}"))) as (url, received):
        assert fetch(settings(url, "secret"), Deadline.after(5)) == b"{}"
    sent = b"".join(received).decode().lower()
    assert sent.startswith("get /things?limit=500&labelselector=a%3db%2cc http/1.1\r\n")
    assert "authorization: bearer secret\r\n" in sent


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(fetch: Fetch) -> None:
    def close_after_request(peer: socket.socket) -> None:
        peer.recv(65536)

    with server(close_after_request, replying(answer(b"{}"))) as (url, _):
        assert fetch(settings(url), Deadline.after(5)) == b"{}"


def test_an_answer_that_breaks_off_is_not_taken_for_a_short_one(fetch: Fetch) -> None:
    short = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"
    with (
        server(replying(short)) as (url, _),
        pytest.raises(StateUnreadable, match="the connection to the API server broke"),
    ):
        fetch(settings(url), Deadline.after(5))


def test_a_server_that_does_not_answer_in_time_is_given_up(fetch: Fetch) -> None:
    release = threading.Event()
    with server(lambda peer: (peer.recv(65536), release.wait(10), None)[2]) as (url, _):
        with pytest.raises(StateUnreadable, match=r"did not answer within 0\.2 s") as caught:
            fetch(settings(url), Deadline.after(0.2))
        release.set()
    assert caught.value.what == WANTED.words


def test_after_the_deadline_nothing_is_sent(fetch: Fetch) -> None:
    with pytest.raises(StateUnreadable, match="did not answer within"):
        fetch(settings("http://127.0.0.1:9"), Deadline.after(-1))


def test_nobody_listening_is_told_as_such(fetch: Fetch) -> None:
    with pytest.raises(StateUnreadable, match=r"cannot be reached: .*Connection refused") as caught:
        fetch(settings("http://127.0.0.1:9"), Deadline.after(5))
    assert "check that the API server runs" in caught.value.how


def test_a_redirect_is_not_followed_as_it_would_take_the_token_elsewhere(fetch: Fetch) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"
    with server(replying(moved)) as (url, _), pytest.raises(HttpRefusal) as caught:
        fetch(settings(url, "secret"), Deadline.after(5))
    assert caught.value.status == 302


def test_what_the_api_server_wants_to_be_asked_again_is_within_the_time_there_is(fetch: Fetch) -> None:
    busy = answer(b"{}", "429 Too Many Requests\r\nRetry-After: 0")
    with server(replying(busy, busy, answer(b"[]"))) as (url, received):
        assert fetch(settings(url), Deadline.after(5)) == b"[]"
    assert b"".join(received).count(b"GET /things") == 3


@pytest.mark.parametrize(
    "head",
    [
        "429 Too Many Requests\r\nRetry-After: 60",
        "503 Service Unavailable",
        "500 No\r\nRetry-After: soon",
        "409 Conflict\r\nRetry-After: 0",
    ],
)
def test_a_refusal_that_would_outlast_the_deadline_or_is_for_good_is_told_at_once(
    fetch: Fetch, head: str
) -> None:
    with server(replying(answer(b"{}", head))) as (url, _), pytest.raises(HttpRefusal) as caught:
        fetch(settings(url), Deadline.after(5))
    assert str(caught.value.status) == head[:3]


def test_the_lines_of_a_watch_come_one_by_one_however_they_were_cut() -> None:
    def chunked(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b'{"a":1}\n{"b"', b":2}\n", b"\n", b'{"c":3}\n'):
            peer.sendall(b"%x\r\n%s\r\n" % (len(part), part))
        peer.sendall(b"0\r\n\r\n")

    with server(chunked) as (url, _):
        lines = list(connection(url).watch(THINGS, 5))
    assert lines == [b'{"a":1}', b'{"b":2}', b'{"c":3}']


def test_a_watch_without_a_line_for_too_long_is_broken() -> None:
    release = threading.Event()

    def silent(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        release.wait(10)

    with server(silent) as (url, _):
        with pytest.raises(StateUnreadable, match="did not answer within"):
            list(connection(url).watch(THINGS, 0.2))
        release.set()


def test_a_watch_can_be_ended_from_another_thread() -> None:
    release = threading.Event()

    def silent(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        release.wait(10)

    def drain() -> None:
        with pytest.raises(StateUnreadable):
            list(stream)

    with server(silent) as (url, _):
        stream = connection(url).watch(THINGS, 30)
        reader = threading.Thread(target=drain)
        reader.start()
        stream.close()
        reader.join(5)
        assert not reader.is_alive()
        release.set()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, "does not accept these credentials"),
        (
            403,
            'rule: apiGroups: ["example.test"], resources: ["things"], verbs: ["list"] in namespace one',
        ),
        (404, "answered 404: no"),
        (429, "cannot answer now (429): no; try again"),
        (503, "cannot answer now (503): no; try again"),
    ],
)
def test_a_refusal_says_what_was_wanted_what_happened_and_what_to_do(status: int, expected: str) -> None:
    error = refusal(status, b'{"kind": "Status", "message": "no"}', WANTED)
    assert str(error).startswith("could not read the things of namespace one: ")
    assert expected in str(error)
    assert error.is_lasting is (status in (403, 404))


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"<html>" + b"x" * 10_000, b"[]", b'{"message": 7}'])
def test_a_refusal_with_an_odd_body_is_still_a_short_sentence(body: bytes) -> None:
    assert len(str(refusal(500, body, WANTED))) < 800


def test_without_a_usable_kubeconfig_the_settings_are_to_blame(tmp_path: Path) -> None:
    broken = tmp_path / "config"
    broken.write_text("apiVersion: v1\nkind: Config\nclusters: [")
    for path in (broken, tmp_path / "missing"):
        with pytest.raises(SettingsError, match=str(path)):
            configuration(path)


QUESTION = AccessQuestion(
    "jane",
    "override",
    "networking.k8s.io",
    "networkpolicies",
    namespace="one",
    groups=("developers",),
    extra={"scopes": ("a", "b")},
)


def test_an_access_review_asks_with_the_users_groups_and_extra() -> None:
    assert json.loads(json.dumps(review_of(QUESTION))) == {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": "jane",
            "groups": ["developers"],
            "extra": {"scopes": ["a", "b"]},
            "resourceAttributes": {
                "verb": "override",
                "group": "networking.k8s.io",
                "resource": "networkpolicies",
                "namespace": "one",
            },
        },
    }


@pytest.mark.parametrize(
    ("reply", "allowed", "reason"),
    [
        (b'{"status": {"allowed": true, "reason": "by a role"}}', True, "by a role"),
        (b'{"status": {"allowed": false}}', False, ""),
        (b'{"status": {"allowed": false, "evaluationError": "no such role"}}', False, "no such role"),
        (b"<html>", None, "not understood"),
        (b"{}", None, "not understood"),
        (403, None, "subjectaccessreviews"),
        (503, None, "503"),
    ],
)
def test_an_answer_about_access_is_yes_no_or_nobody_knows(
    reply: bytes | int, *, allowed: bool | None, reason: str
) -> None:
    answered = ask(FakeApi(reply), QUESTION, Deadline.after(1))
    assert answered.allowed is allowed
    assert reason in answered.reason


def test_a_context_has_the_namespace_that_kubectl_would_take(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: plain\n"
        "clusters: [{name: c, cluster: {server: https://c}}]\nusers: [{name: u, user: {token: t}}]\n"
        "contexts:\n- {name: plain, context: {cluster: c, user: u}}\n"
        "- {name: team, context: {cluster: c, user: u, namespace: team-a}}\n"
    )
    assert context_namespace(file) is None
    assert context_namespace(file, "team") == "team-a"
    assert context_namespace(tmp_path / "missing") is None
