from __future__ import annotations

import copy

import pytest

from app.install.guard.removal import leave
from app.model.kinds import Reference
from app.names import NAME, OURS
from app.shipped import guard_manifests
from tests.install.store import MemoryStore

SHIPPED = tuple(guard_manifests())
ELSEWHERE = [Reference.of(manifest) for manifest in SHIPPED if Reference.of(manifest).namespace != NAME]


def test_everything_that_was_shipped_goes_the_configuration_first_and_the_namespace_last() -> None:
    leaving = leave(MemoryStore.of(*SHIPPED), SHIPPED)
    assert {step.reference for step in leaving.steps} == {Reference.of(manifest) for manifest in SHIPPED}
    assert [str(step.reference) for step in (leaving.steps[0], leaving.steps[-1])] == [
        "ValidatingWebhookConfiguration netpol-guard",
        "Namespace netpol-guard",
    ]
    assert leaving.notes == ()


@pytest.mark.parametrize("foreign", ELSEWHERE, ids=str)
def test_what_bears_our_name_outside_our_namespace_but_not_our_label_stays(foreign: Reference) -> None:
    objects = copy.deepcopy(SHIPPED)
    theirs = next(manifest for manifest in objects if Reference.of(manifest) == foreign)
    theirs["metadata"]["labels"] = {"team": "somebody"}
    leaving = leave(MemoryStore.of(*objects), SHIPPED)
    assert foreign not in [step.reference for step in leaving.steps]
    assert f"{foreign} stays: it lacks the label {'='.join(OURS)}, so it is not ours" in leaving.notes
