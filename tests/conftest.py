"""What all tests share: the order in which a run hands them to its workers, and company that keeps it busy.

``TESTS_SPIN=1`` keeps all cores busy meanwhile, ``TESTS_WRITER=1`` has somebody write to each cluster
(`tests/kube/writer.py`). Every test passes with both, in any order.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

HERE = Path(__file__).resolve().parent
LONGEST_FIRST = (HERE / "integration" / "incluster", HERE / "integration", HERE / "image")

# How long an example takes is the machine's business.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    """Keep the cores busy while tests run, where that is wanted; one process of a run sees to it."""
    is_worker = hasattr(session.config, "workerinput")
    wanted = 0 if is_worker or not os.environ.get("TESTS_SPIN") else os.cpu_count() or 1
    spin = f"import os\nwhile os.getppid() == {os.getpid()}: pass"
    spinning = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(wanted)]
    try:
        return (yield)
    finally:
        for each in spinning:
            each.kill()
            each.wait()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is left with it alone at the end.

    Otherwise the order stays as it is, a random one, too.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in slow, _place(item.path)))


def _place(path: Path) -> int:
    places = (number for number, folder in enumerate(LONGEST_FIRST) if folder in path.parents)
    return next(places, len(LONGEST_FIRST))
