"""The real server over TLS on loopback, in a process of its own."""

from __future__ import annotations

import concurrent.futures
import json
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.certificates.expiry import validity_of
from app.settings.model import ListenSettings
from tests.serving.process import HOST, JSON_TYPE, Files, Served, served, until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One process for all tests that leave it as it was."""
    with served(
        tmp_path_factory.mktemp("server"), body_bytes=100_000, in_flight=2, body_seconds=1
    ) as running:
        yield running


def _is_alive(server: Served) -> None:
    assert server.post({"uid": "after"}).json()["uid"] == "after"


def test_a_review_is_answered_over_https(server: Served) -> None:
    answer = server.post({"uid": "u-1"}, "?timeout=10s")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-reviewed"] == "yes"
    assert answer.json() == {"bytes": 13, "computing": 1.0, "reading": 8.5, "uid": "u-1", "peer": HOST}


def test_the_timeout_of_the_api_server_is_the_time_for_reading(server: Served) -> None:
    assert server.post({}, "?timeout=10s").json()["reading"] == pytest.approx(8.5)


def test_a_connection_is_kept_for_the_next_review(server: Served) -> None:
    with server.client() as client:
        first = client.post("/validate", json={}).extensions["network_stream"]
        second = client.post("/validate", json={}).extensions["network_stream"]
        assert first.get_extra_info("socket") is second.get_extra_info("socket")


def test_the_last_answer_of_a_connection_ends_it(server: Served) -> None:
    with server.client() as client:
        first = client.post("/validate", json={"do": "close"})
        second = client.post("/validate", json={})
    assert first.headers["connection"] == "close"
    streams = [answer.extensions["network_stream"].get_extra_info("socket") for answer in (first, second)]
    assert streams[0] is not streams[1]


@pytest.mark.parametrize("name", ["x-forwarded-for", "x-real-ip", "forwarded", "via"])
def test_headers_of_proxies_do_not_change_who_the_peer_is(server: Served, name: str) -> None:
    with server.client() as client:
        answer = client.post("/validate", json={}, headers={name: "for=192.0.2.7"})
    assert answer.json()["peer"] == HOST


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1"])
def test_a_server_at_every_address_serves_both_families_and_knows_the_peer_by_its_own_address(
    tmp_path: Path, peer: str
) -> None:
    with served(tmp_path, ListenSettings().host) as everywhere:
        shown = f"[{peer}]" if ":" in peer else peer
        with httpx.Client(base_url=f"https://{shown}:{everywhere.port}", verify=everywhere.trust()) as client:
            assert client.post("/validate", json={}).json()["peer"] == peer
        assert httpx.get(f"http://{shown}:{everywhere.health_port}/healthz").status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_another_method_is_not_allowed(server: Served, method: str) -> None:
    with server.client() as client:
        answer = client.request(method, "/validate")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    if method != "HEAD":
        assert answer.json() == {"error": f"{method} /validate: Method Not Allowed", "path": "/validate"}


@pytest.mark.parametrize(
    "path", ["/", "/validate/", "/validate/x", "/docs", "/redoc", "/openapi.json", "/metrics", "/healthz"]
)
def test_there_is_nothing_else_on_the_webhook_port(server: Served, path: str) -> None:
    with server.client() as client:
        answer = client.get(path)
    assert (answer.status_code, answer.json()["path"]) == (404, path)


def test_a_reviewer_that_fails_is_logged_once_and_answered_without_a_500(server: Served) -> None:
    answer = server.post({"do": "fail"})
    assert answer.status_code == 400
    assert "secret" not in answer.text
    failures = [line for line in server.logged() if line["msg"] == "review failed"]
    assert len(failures) == 1
    assert "RuntimeError: the reviewer fell over a secret" in str(failures[0]["traceback"])
    _is_alive(server)


def test_a_body_above_the_limit_is_refused_whether_its_length_is_stated_or_not(server: Served) -> None:
    with server.client() as client:
        stated = client.post("/validate", content=b"x" * 100_001, headers=JSON_TYPE)
        chunked = client.post("/validate", content=(b"x" * 10_000 for _ in range(50)), headers=JSON_TYPE)
        assert (stated.status_code, chunked.status_code) == (413, 413)
        allowed = client.post("/validate", content=(b"x" * 10_000 for _ in range(10)), headers=JSON_TYPE)
        assert allowed.json()["bytes"] == 100_000


def test_a_body_shorter_than_stated_is_given_up_and_others_are_served_meanwhile(server: Served) -> None:
    with server.raw() as connection:
        connection.sendall(
            b"POST /validate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: 50\r\n\r\n{"
        )
        _is_alive(server)
        assert connection.recv(100).startswith(b"HTTP/1.1 408")


def test_bytes_that_are_no_http_are_answered_with_400(server: Served) -> None:
    with server.raw() as connection:
        connection.sendall(b"\x00\x01 this is not HTTP\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
    _is_alive(server)


def test_clients_that_go_away_at_any_moment_do_no_harm(server: Served) -> None:
    head = (
        b"POST /validate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 32\r\n\r\n"
    )
    body = json.dumps({"do": "sleep", "seconds": 0.2}).encode()
    for said in (b"", b"POST /val", head, head + body[:5], head + body):
        with server.raw() as connection:
            connection.sendall(said)
    socket.create_connection((HOST, server.port)).close()  # not even TLS
    with socket.create_connection((HOST, server.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")  # nor here
    until(lambda: "netpol_guard_in_flight_requests 0.0" in server.health("/metrics").text)
    _is_alive(server)
    assert not [line for line in server.logged() if line["level"] == "error" and "Exception" in str(line)]


def test_too_many_reviews_at_once_get_503_and_retry_after(server: Served) -> None:
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = [pool.submit(server.post, {"do": "sleep", "seconds": 2}) for _ in range(2)]
        until(lambda: "netpol_guard_in_flight_requests 2.0" in server.health("/metrics").text)
        refused = server.post({})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert [answer.result().status_code for answer in slow] == [200, 200]
    assert 'netpol_guard_refused_requests_total{reason="overload"} 1.0' in server.health("/metrics").text
    _is_alive(server)


def test_health_and_readiness_and_metrics_are_on_a_port_of_their_own(server: Served) -> None:
    assert server.health("/healthz").json() == {"status": "ok"}
    assert server.health("/readyz").json() == {"status": "ready"}
    end = validity_of(server.files.certificate.read_bytes()).end.timestamp()
    found = [
        float(line.split()[1])
        for line in server.health("/metrics").text.splitlines()
        if line.startswith("netpol_guard_certificate_expiry_timestamp_seconds ")
    ]
    assert found == [end]
    assert server.health("/validate").status_code == 404


def test_health_and_metrics_answer_while_the_event_loop_of_reviews_is_held(server: Served) -> None:
    release = server.files.folder / "release"
    with concurrent.futures.ThreadPoolExecutor() as pool:
        held = pool.submit(server.post, {"do": "hold", "until": str(release)})
        until(lambda: "netpol_guard_in_flight_requests 1.0" in server.health("/metrics").text)
        assert server.health("/healthz").status_code == 200
        assert server.health("/readyz").status_code == 200
        assert not held.done()
        release.touch()
        assert held.result().status_code == 200


def test_the_process_is_unready_with_reasons_as_long_as_somebody_says_so(server: Served) -> None:
    reasons = server.files.folder / "not-ready"
    reasons.write_text("no state yet\n")
    try:
        answer = server.health("/readyz")
        assert answer.status_code == 503
        assert answer.json() == {"status": "not ready", "reasons": ["no state yet"]}
        assert server.health("/healthz").status_code == 200
    finally:
        reasons.unlink()
    assert server.health("/readyz").status_code == 200


def test_only_modern_tls_is_spoken_and_only_http_1_1(server: Served) -> None:
    def handshake(context: ssl.SSLContext) -> tuple[str | None, str | None]:
        plain = socket.create_connection((HOST, server.port), timeout=30)
        with context.wrap_socket(plain, server_hostname=HOST) as connection:
            return connection.version(), connection.selected_alpn_protocol()

    newest = server.trust()
    newest.set_alpn_protocols(["h2", "http/1.1"])
    assert handshake(newest) == ("TLSv1.3", "http/1.1")
    older = server.trust()
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    assert handshake(older)[0] == "TLSv1.2"
    without_authentication_of_data = server.trust()
    without_authentication_of_data.maximum_version = ssl.TLSVersion.TLSv1_2
    without_authentication_of_data.set_ciphers("ECDHE-ECDSA-AES128-SHA")
    with pytest.raises(ssl.SSLError):
        handshake(without_authentication_of_data)


def _served_certificate(server: Served) -> bytes:
    with server.raw() as connection:
        return ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True) or b"").encode()


def test_a_new_certificate_is_served_without_a_restart_and_open_connections_stay(tmp_path: Path) -> None:
    with served(tmp_path) as server, server.client() as client:
        before = _served_certificate(server)
        kept = client.post("/validate", json={}).extensions["network_stream"].get_extra_info("socket")
        server.files.write_new()
        until(lambda: _served_certificate(server) != before)
        assert _served_certificate(server).strip() == server.files.certificate.read_bytes().strip()
        again = client.post("/validate", json={}).extensions["network_stream"].get_extra_info("socket")
        assert again is kept


def test_an_unusable_new_certificate_leaves_the_old_one_in_use_until_it_is_usable(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        before = _served_certificate(server)
        key = server.files.key.read_bytes()
        pair = server.files.write_new()
        server.files.key.write_bytes(key)  # the key is still the old one
        until(lambda: any("not reloaded" in str(line["msg"]) for line in server.logged()))
        assert _served_certificate(server) == before
        server.files.key.write_bytes(pair.key)
        until(lambda: _served_certificate(server) != before)
        reasons = [str(line["reason"]) for line in server.logged() if "not reloaded" in str(line["msg"])]
        assert "the key does not belong to the certificate" in reasons[0]


def test_a_signal_drains_and_then_ends_the_process(tmp_path: Path) -> None:
    with served(tmp_path, drain_seconds=3) as server, server.client() as client:
        assert "connection" not in client.post("/validate", json={}).headers
        server.process.send_signal(signal.SIGTERM)
        until(lambda: server.health("/readyz").status_code == 503)
        assert server.health("/readyz").json()["reasons"] == ["draining: this process is about to end"]
        assert server.health("/healthz").status_code == 200
        draining = client.post("/validate", json={})
        assert (draining.status_code, draining.headers["connection"]) == (200, "close")
        assert client.post("/nowhere").headers["connection"] == "close"
        assert server.process.wait(20) == 0


def test_a_review_under_way_is_answered_before_the_process_ends(tmp_path: Path) -> None:
    with served(tmp_path) as server, concurrent.futures.ThreadPoolExecutor() as pool:
        slow = pool.submit(server.post, {"do": "sleep", "seconds": 1, "uid": "slow"})
        until(lambda: "netpol_guard_in_flight_requests 1.0" in server.health("/metrics").text)
        server.process.send_signal(signal.SIGINT)
        assert slow.result().json()["uid"] == "slow"
        assert server.process.wait(20) == 0


def test_a_second_signal_ends_the_process_at_once(tmp_path: Path) -> None:
    with served(tmp_path, drain_seconds=600) as server:
        server.process.send_signal(signal.SIGTERM)
        until(lambda: server.health("/readyz").status_code == 503)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 128 + signal.SIGTERM
        with pytest.raises(httpx.ConnectError):
            server.health("/healthz")


def test_a_certificate_that_cannot_be_used_ends_the_start_with_a_reason(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.write_new()
    files.key.unlink()
    program = [
        sys.executable,
        "-m",
        "tests.serving.program",
        HOST,
        str(files.certificate),
        str(files.key),
        "{}",
    ]
    ended = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert f"{files.key}: No such file or directory" in ended.stderr
    assert "Traceback" not in ended.stderr
