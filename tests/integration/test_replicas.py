"""Two replicas behind one address, and changes that are harmless only alone.

``DELETION_TRIALS=1000`` makes it as many trials as that.
"""

from __future__ import annotations

import json
import os
import secrets
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.model.probe import PROBE_ANNOTATION
from tests.integration.conftest import MakeNamespace
from tests.integration.decisions.objects import (
    API_SERVER,
    MERGE,
    Object,
    create,
    names,
    open_to_all,
    path_of,
    policy,
)
from tests.integration.guard import registered_replicas
from tests.kube.api import ApiResponse
from tests.kube.control_plane import ControlPlane

TRIALS = int(os.environ.get("DELETION_TRIALS", "60"))
TWINS = ("one", "two")


@dataclass(frozen=True, slots=True)
class Replicas:
    """Where replicas of the guard log to, and a namespace with two policies of which one has to stay."""

    control_plane: ControlPlane
    namespace: str
    folders: tuple[Path, ...]

    def restore(self) -> None:
        """Bring back what was deleted."""
        for name in set(TWINS) - names(self.control_plane, self.namespace):
            create(self.control_plane, open_to_all(self.namespace, name))

    def delete(self, name: str) -> ApiResponse:
        """Delete one of the two policies."""
        return self.control_plane.client().request("DELETE", path_of(open_to_all(self.namespace, name)))

    def turn_over(self) -> None:
        """Let the API server's next call go to the other replica: a probe's answer ends its connection."""
        self.touch_keeper({"annotations": {PROBE_ANNOTATION: secrets.token_hex(16)}})

    def touch_keeper(self, metadata: Object) -> ApiResponse:
        """Try to change metadata of the policy that stays, and return the answer."""
        path = f"{path_of(open_to_all(self.namespace, 'keeper'))}?dryRun=All"
        answer = self.control_plane.client().request(
            "PATCH", path, {"metadata": metadata}, content_type=MERGE
        )
        assert answer.ok, answer.text
        return answer

    def delete_at_the_same_time(self) -> int:
        """Return how many of the two deletions pass that are sent at the same time."""
        with ThreadPoolExecutor(2) as threads:
            return sum(answer.ok for answer in threads.map(self.delete, TWINS))

    def decided(self) -> list[Counter[str]]:
        """Return for each replica how often it decided what about a deletion."""
        return [Counter(_verdicts(folder / "guard.log", self.namespace)) for folder in self.folders]


def _verdicts(log: Path, namespace: str) -> Iterator[str]:
    for line in log.read_text().splitlines():
        if line.startswith("{"):
            facts = json.loads(line)
            if facts.get("operation") == "DELETE" and facts["namespace"] == namespace:
                yield facts["verdict"]


def _pair(control_plane: ControlPlane, namespace: str, folders: tuple[Path, ...]) -> Replicas:
    """Return a namespace with two policies of which one has to stay."""
    made = Replicas(control_plane, namespace, folders)
    # It isolates every pod and lets nobody in.
    spec = {"podSelector": {}, "policyTypes": ["Ingress"]}
    made.restore()
    create(control_plane, policy(namespace, "keeper", spec))
    return made


def test_of_two_deletions_one_after_the_other_by_different_replicas_never_both_pass(
    control_plane: ControlPlane, make_namespace: MakeNamespace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folders = (tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second"))
    namespace = make_namespace()
    with registered_replicas(control_plane, folders, API_SERVER):
        pair = _pair(control_plane, namespace, folders)
        for trial in range(TRIALS):
            first, second = TWINS if trial % 2 else reversed(TWINS)
            assert pair.delete(first).ok
            pair.turn_over()
            refused = pair.delete(second)
            assert not refused.ok, f"trial {trial}: both passed"
            assert "would cut" in refused.message
            pair.restore()
    told = pair.decided()
    print(f"{TRIALS} trials; decisions of the replicas: {told}")
    assert sum(told, Counter()) == {"admit": TRIALS, "deny": TRIALS}
    assert min(metrics.total() for metrics in told) >= TRIALS // 2, "one replica did nearly everything"


def test_of_two_deletions_at_the_same_time_by_one_replica_never_both_pass(
    control_plane: ControlPlane, make_namespace: MakeNamespace, tmp_path: Path
) -> None:
    namespace, outcomes = make_namespace(), Counter[int]()
    with registered_replicas(control_plane, (tmp_path,), API_SERVER):
        pair = _pair(control_plane, namespace, (tmp_path,))
        for _ in range(TRIALS):
            outcomes[pair.delete_at_the_same_time()] += 1
            pair.restore()
    print(f"{TRIALS} trials; how many of the two passed: {dict(outcomes)}")
    assert outcomes[2] == 0


def test_two_deletions_at_the_same_time_that_two_replicas_let_pass_are_told_of_by_the_next_answer(
    control_plane: ControlPlane, make_namespace: MakeNamespace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A limit, said as it is: replicas do not know what the others have under review."""
    folders = (tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second"))
    namespace, outcomes = make_namespace(), Counter[int]()
    with registered_replicas(control_plane, folders, API_SERVER):
        pair = _pair(control_plane, namespace, folders)
        for _ in range(TRIALS):
            passed = pair.delete_at_the_same_time()
            outcomes[passed] += 1
            labelled = pair.touch_keeper({"labels": {"trial": secrets.token_hex(4)}})
            assert ("still cut off, as before" in " ".join(labelled.warnings)) is (passed == 2)
            pair.restore()
    print(f"{TRIALS} trials; how many of the two passed: {dict(outcomes)}")
