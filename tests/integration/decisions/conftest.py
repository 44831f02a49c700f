"""A guard that judges the control plane of the run, and namespaces in the states that cases begin with."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from tests.integration.conftest import MakeNamespace
from tests.integration.decisions.objects import API_SERVER, Object, baselines, create
from tests.integration.guard import Guard, configuration, running_guard
from tests.kube.control_plane import ControlPlane
from tests.kube.webhook import register_webhook


@pytest.fixture(scope="package")
def guard(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    """Run a guard that every NetworkPolicy and Namespace of a managed namespace is put to."""
    folder = tmp_path_factory.mktemp("guard")
    with (
        running_guard(control_plane, folder, apiServer={"sources": [API_SERVER]}) as running,
        register_webhook(control_plane, running.url, control_plane.ca_pem, configuration()),
    ):
        yield running


@pytest.fixture
def empty(guard: Guard, make_namespace: MakeNamespace) -> str:  # noqa: ARG001 - the guard must run
    """Return a managed namespace without policies."""
    return make_namespace()


@pytest.fixture
def baselined(empty: str, control_plane: ControlPlane) -> str:
    """Return a managed namespace with both baselines."""
    create(control_plane, *baselines(empty))
    return empty


class GuardDown(Protocol):
    """What the `guard_down` fixture is."""

    def __call__(self) -> None:
        """Let a second guard die: from then on its webhook fails, and its policy is `Fail`."""


@pytest.fixture
def guard_down(control_plane: ControlPlane, tmp_path: Path) -> Iterator[GuardDown]:
    """Return what makes a guard go down in the middle of a test."""
    with _other_guard(control_plane, tmp_path) as other:

        def go_down() -> None:
            other.process.terminate()
            other.process.wait(60)

        yield go_down


@contextmanager
def _other_guard(control_plane: ControlPlane, folder: Path) -> Iterator[Guard]:
    with (
        running_guard(control_plane, folder, apiServer={"sources": [API_SERVER]}) as other,
        register_webhook(control_plane, other.url, control_plane.ca_pem, renamed(configuration())),
    ):
        yield other


def renamed(shipped: Object) -> Object:
    """Return the configuration under another name, beside that of the guard of the package."""
    renamed = copy.deepcopy(shipped)
    renamed["metadata"]["name"] = "netpol-guard-other"
    for webhook in renamed["webhooks"]:
        webhook["name"] = f"other.{webhook['name']}"
    return renamed
