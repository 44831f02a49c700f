from __future__ import annotations

from tests.fuzz.hostile import MISUSES
from tests.fuzz.sockets import fuzz_sockets


def test_over_real_connections_nothing_is_answered_wrongly_or_not_at_all() -> None:
    found = fuzz_sockets(1_000, seed=3)
    assert not found.failed, "\n".join(found.failures)
    assert {200, 400, 422} <= {status for _, status in found.answers}
    assert {misuse.name for misuse in MISUSES} <= {name for name, _ in found.answers}
