"""Fixtures of the integration tests: one control plane a run, fresh namespaces for every test.

Where the programs of the control plane can neither be found nor built, these tests are left out with the
reason shown; with `CI` in the environment that is a failure instead.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import NoReturn, Protocol

import pytest

from tests.kube.binaries import Program, ensure, find
from tests.kube.building import BuildError
from tests.kube.control_plane import ControlPlane
from tests.kube.webhook import MANAGED_LABEL

HERE = Path(__file__).resolve().parent
CONTROL_PLANE = (Program.ETCD, Program.KUBE_APISERVER, Program.KUBE_CONTROLLER_MANAGER, Program.KUBECTL)


class MakeNamespace(Protocol):
    """What the `make_namespace` fixture is."""

    def __call__(self, *, managed: bool = True, labels: Mapping[str, str] | None = None) -> str:
        """Create a namespace, labelled as managed unless told otherwise, and return its name, a new one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test below this folder as an integration test."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def kubernetes_programs(request: pytest.FixtureRequest) -> None:
    """Build what is missing, with the progress shown although pytest captures output elsewhere."""
    if all(find(program) for program in CONTROL_PLANE):
        return
    capture = request.config.pluginmanager.getplugin("capturemanager")
    try:
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            for program in CONTROL_PLANE:
                ensure(program)
    except BuildError as error:
        cannot_run(f"no control plane to test against: {error}")


def cannot_run(reason: str) -> NoReturn:
    """Leave out the tests that ask for what this machine does not have; in CI, let them fail."""
    if os.environ.get("CI"):
        pytest.fail(f"the integration tests must run in CI, but: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def control_plane(kubernetes_programs: None) -> Iterator[ControlPlane]:  # noqa: ARG001 - it makes them be there
    """Start the control plane that all tests of the run share; stop it at the end."""
    with ControlPlane() as running:
        yield running


@pytest.fixture
def make_namespace(control_plane: ControlPlane) -> Iterator[MakeNamespace]:
    """Return a maker of namespaces that no other test sees; they are deleted afterwards, policies and all."""
    client = control_plane.client()
    created: list[str] = []

    def make(*, managed: bool = True, labels: Mapping[str, str] | None = None) -> str:
        name = f"test-{secrets.token_hex(5)}"
        managed_label = {MANAGED_LABEL: "true"} if managed else {}
        metadata = {"name": name, "labels": {**managed_label, **(labels or {})}}
        answer = client.request("POST", "/api/v1/namespaces", {"metadata": metadata})
        assert answer.ok, answer.text
        created.append(name)
        return name

    yield make
    for name in created:
        # The namespace controller takes the policies with it; nobody waits for it here.
        client.request("DELETE", f"/api/v1/namespaces/{name}")
