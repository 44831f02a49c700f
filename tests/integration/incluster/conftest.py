"""Fixtures of the tests in which the guard runs inside a cluster.

Where network namespaces cannot be made, these tests are left out with the reason shown; with `CI` in the
environment that is a failure instead.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

import pytest

from tests.integration.conftest import cannot_run
from tests.kube.cluster import Cluster, Shape
from tests.kube.hosts import why_not


class MakeCluster(Protocol):
    """What the `make_cluster` fixture is."""

    def __call__(self, shape: Shape) -> Cluster:
        """Start a cluster of the shape; it is taken away after the test."""


@pytest.fixture(scope="session")
def network_namespaces(kubernetes_programs: None) -> None:  # noqa: ARG001 - a cluster needs both
    """Make sure that clusters can be made here."""
    reason = why_not()
    if reason is not None:
        cannot_run(reason)


@pytest.fixture(scope="module")
def cluster(network_namespaces: None) -> Iterator[Cluster]:  # noqa: ARG001 - makes sure that it can be made
    """Start a cluster with one API server, IPv4 alone, for all tests of a module."""
    with Cluster() as running, shown(running):
        yield running


@pytest.fixture
def make_cluster(network_namespaces: None) -> Iterator[MakeCluster]:  # noqa: ARG001 - as above
    """Return a maker of clusters for one test each."""
    with ExitStack() as stack:

        def make(shape: Shape) -> Cluster:
            running = stack.enter_context(Cluster(shape))
            stack.enter_context(shown(running))
            return running

        yield make


_running: list[Cluster] = []


@contextmanager
def shown(cluster: Cluster) -> Iterator[None]:
    """Have the Pods of the cluster shown with tests that fail during the body."""
    _running.append(cluster)
    try:
        yield
    finally:
        _running.remove(cluster)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the Pods and the ends of their logs with a failed test."""
    report = yield
    if report.failed:
        report.sections.extend(("Pods", each.kubelet.describe()) for each in _running)
    return report
