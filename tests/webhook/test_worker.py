"""The guard as it is served, with its worker: two processes, which end together."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from app.shipped import SAMPLE
from app.wire.networkpolicy.rules import LONG
from tests.serving.process import HOST, Files, Served, until
from tests.worker.test_process import is_alive

Object = dict[str, Any]
NAMESPACE = "data-plane-science"


@dataclass(frozen=True)
class Guard:
    """A running guard over the sample cluster."""

    served: Served

    @property
    def pid(self) -> int:
        """The process that answers reviews."""
        return self.served.process.pid

    def workers(self) -> list[int]:
        """Return its children that live."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                found += [int(stat.parent.name)] if parent == self.pid else []
        return [process for process in found if is_alive(process)]

    def worker(self) -> int:
        """Return the one worker, as soon as it is there."""
        until(lambda: "netpol_guard_worker_up 1.0" in self.metrics() and len(self.workers()) == 1)
        return self.workers()[0]

    def metrics(self) -> str:
        """Return what Prometheus would read."""
        return self.served.health("/metrics").text

    def answered(self) -> float:
        """Return how many hard questions the worker has answered."""
        name = 'netpol_guard_hard_questions_total{outcome="answered"} '
        return sum(float(line.removeprefix(name)) for line in self.metrics().splitlines() if name in line)

    def review(self, new: Object, **more: object) -> Object:
        """Return the response to the creation of a policy."""
        answer = self.served.post(_review(new, **more))
        assert answer.status_code == 200, answer.text
        response: Object = answer.json()["response"]
        return response


@contextmanager
def guard(folder: Path, **settings: object) -> Iterator[Guard]:
    """Run the guard; yield it as soon as it serves."""
    files, config, log = Files(folder), folder / "settings.yaml", folder / "log"
    files.write_new()
    shutil.copytree(SAMPLE, folder / "state")
    given = {
        "state": {"directory": str(folder / "state")},
        "listen": {"host": HOST, "port": 0, "healthHost": HOST, "healthPort": 0},
        "tls": {"certFile": str(files.certificate), "keyFile": str(files.key)},
        "drainSeconds": 0,
        **settings,
    }
    config.write_text(yaml.safe_dump(given))
    command = [sys.executable, "-m", "app", "serve", "--config", str(config)]
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=errors, stderr=errors, text=True) as process,
    ):
        try:
            until(lambda: _ports(log) is not None)
            ports = _ports(log) or {}
            yield Guard(Served(process, files, ports["port"], ports["health_port"], log))
        finally:
            process.kill()


def _ports(log: Path) -> dict[str, int] | None:
    for line in log.read_text().splitlines():
        if (told := json.loads(line))["msg"] == "serving":
            return dict(told)
    return None


def _policy(name: str, count: int) -> Object:
    peers = [{"podSelector": {"matchLabels": {"app": f"app-{number:04}"}}} for number in range(count)]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": peers}]},
    }


def long(name: str) -> Object:
    """Return a policy that only the worker looks at."""
    return _policy(name, LONG // 40)


def short(name: str) -> Object:
    """Return a policy that is judged at once."""
    return _policy(name, 1)


def _review(new: Object, **more: object) -> Object:
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "kind": {"group": "networking.k8s.io", "version": "v1", "kind": "NetworkPolicy"},
            "resource": {"group": "networking.k8s.io", "version": "v1", "resource": "networkpolicies"},
            "operation": "CREATE",
            "name": new["metadata"]["name"],
            "namespace": NAMESPACE,
            "userInfo": {"username": "dev", "groups": []},
            "object": new,
            "dryRun": True,
            **more,
        },
    }


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    """A guard that waits long for its worker, so that tests decide how that fares."""
    with guard(tmp_path_factory.mktemp("guard"), budgetSeconds=29) as found:
        yield found


def test_a_long_policy_is_judged_by_the_one_worker(running: Guard) -> None:
    running.worker()
    before = running.answered()
    assert running.review(long("long"))["allowed"]
    assert running.answered() == before + 1


def test_a_worker_killed_over_a_question_is_no_500_and_no_hang_and_another_takes_its_place(
    running: Guard,
) -> None:
    first = running.worker()
    os.kill(first, signal.SIGSTOP)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(running.review, long("long"))
        until(lambda: "netpol_guard_in_flight_requests 1.0" in running.metrics())
        assert running.review(short("honest"), userInfo={"username": "another"})["allowed"]
        assert not waiting.done()
        busy = running.review(long("another"))
        assert "busy with another hard question of this namespace, try again" in busy["status"]["message"]
        os.kill(first, signal.SIGKILL)
        lost = waiting.result()
    assert not lost["allowed"]
    assert "the worker for such is not there: it ended over this question" in lost["status"]["message"]
    assert running.worker() != first
    assert running.review(long("long"))["allowed"]
    until(lambda: any(line["msg"].startswith("the worker for hard") for line in _warnings(running)))


def _warnings(running: Guard) -> list[dict[str, str]]:
    return [line for line in running.served.logged() if line["level"] == "warning"]  # type: ignore[misc]


def test_health_and_metrics_answer_and_honest_reviews_too_while_a_hard_question_is_open(
    running: Guard,
) -> None:
    worker = running.worker()
    os.kill(worker, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(running.review, long("long"))
            until(lambda: "netpol_guard_in_flight_requests 1.0" in running.metrics())
            assert running.served.health("/healthz").status_code == 200
            assert running.review(short("honest"))["allowed"]
            os.kill(worker, signal.SIGCONT)
            assert waiting.result()["allowed"]
    finally:
        os.kill(worker, signal.SIGCONT)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_the_worker_ends_with_the_guard_however_that_ends(tmp_path: Path, ending: signal.Signals) -> None:
    with guard(tmp_path) as running:
        worker = running.worker()
        running.served.process.send_signal(ending)
        running.served.process.wait(60)
        until(lambda: not is_alive(worker))
        with pytest.raises(httpx.ConnectError):
            running.metrics()
