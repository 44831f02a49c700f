"""What ``bootstrap`` says to an API server that no test can start: one that is too old, or none at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.cli.main import main


class Answering(BaseHTTPRequestHandler):
    """Answers ``/version`` alone; remembers every request."""

    version = ""
    requests: list[str]

    def do_GET(self) -> None:
        """Answer."""
        self._answer()

    def do_POST(self) -> None:
        """Answer."""
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Keep quiet."""

    def _answer(self) -> None:
        self.requests.append(f"{self.command} {self.path}")
        body = json.dumps({"gitVersion": self.version}).encode() if self.version else b"<html>nginx</html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def server(version: str, folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Run a server of that version; yield a kubeconfig for it, and the requests that it gets."""
    requests: list[str] = []
    handler = type("Handler", (Answering,), {"version": version, "requests": requests})
    running = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    try:
        yield kubeconfig(f"http://127.0.0.1:{running.server_port}", folder), requests
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


def kubeconfig(url: str, folder: Path) -> Path:
    path = folder / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "x", "cluster": {"server": url}}],
        "users": [{"name": "x", "user": {"token": "x"}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(config))
    return path


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["netpol-guard", *arguments])
    return main()


@pytest.mark.parametrize("arguments", [("--baselines-only",), ("--image", "x")], ids=["baselines", "guard"])
def test_a_server_that_is_too_old_is_refused_before_anything_else_is_asked(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: tuple[str, ...],
) -> None:
    with server("v1.29.14", tmp_path) as (config, requests):
        assert call(monkeypatch, "bootstrap", *arguments, "--yes", "--kubeconfig", str(config)) == 2
    assert requests == ["GET /version"]
    told = capsys.readouterr().err
    assert (
        "Kubernetes v1.29.14 is too old: netpol-guard needs 1.30 or later; upgrade the cluster first" in told
    )
    assert "Nothing was changed." in told


def test_something_that_is_no_api_server_is_told_to_be_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with server("", tmp_path) as (config, _):
        assert call(monkeypatch, "bootstrap", "--image", "x", "--kubeconfig", str(config)) == 2
    assert "is this a Kubernetes API server?" in capsys.readouterr().err


def test_labels_are_for_namespaces_that_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "bootstrap", "--baselines-only", "--label") == 2
    assert "--label: name the namespaces to label with -n" in capsys.readouterr().err


def test_namespaces_go_with_baselines_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "uninstall", "-n", "somewhere", "--yes") == 2
    assert "--namespace: goes with --baselines" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["bootstrap", "uninstall"])
def test_a_kubeconfig_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    assert call(monkeypatch, command, "--kubeconfig", str(tmp_path / "none")) == 2
    assert "none cannot be used" in capsys.readouterr().err


def test_an_api_server_that_cannot_be_reached_is_told_to_be_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = kubeconfig("http://127.0.0.1:1", tmp_path)
    assert call(monkeypatch, "bootstrap", "--baselines-only", "--kubeconfig", str(config)) == 2
    told = capsys.readouterr().err
    assert "the API server cannot be reached" in told
    assert "check that the API server runs" in told


@pytest.mark.parametrize("more", [(), ("--output", "yaml")], ids=["bring", "print"])
def test_an_address_that_is_none_is_refused_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    more: tuple[str, ...],
) -> None:
    with server("v1.33.0", tmp_path) as (config, requests):
        arguments = ("bootstrap", "--api-server", "the-master", *more, "--kubeconfig", str(config))
        assert call(monkeypatch, *arguments) == 2
    assert requests == []
    told = capsys.readouterr().err
    assert "--api-server: 'the-master' does not appear to be an IPv4 or IPv6 network" in told
    assert "give an address or a CIDR such as 10.20.0.10/32" in told
