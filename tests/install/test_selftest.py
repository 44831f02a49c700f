from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from app.engine.baselines import written_baselines
from app.engine.policy import Namespace
from app.errors import ChangeFailed
from app.install.guard.selftest import SelfTest
from app.install.ports import GuardSettings
from app.model.kinds import DryRun, Manifest, Reference, Written
from tests.install.store import MemoryStore, NoTime
from tests.install.world import CLUSTER, MANAGED, NS, rendered

DENIAL = 'admission webhook "networkpolicies.netpol-guard.iomete.com" denied the request: x would cut y'
WARNING = "netpol-guard: x would cut y"
ENFORCING = GuardSettings()
NO_EFFECT = "netpol-guard: x has no effect: y"


@dataclass
class Guarded(MemoryStore):
    """A store behind a guard that answers what it is told to."""

    refusal: str = DENIAL
    warnings: tuple[str, ...] = (NO_EFFECT,)
    late: int = 0
    tried: list[Manifest] = field(default_factory=list)

    def merge(self, reference: Reference, patch: Manifest, dry_run: DryRun = DryRun.NONE) -> Written:
        """Refuse to empty a baseline, or warn of it."""
        assert dry_run is DryRun.ALL
        assert patch == {"spec": {"ingress": []}}
        self.late -= 1
        if self.late >= 0:
            return Written({})
        if "denied" in self.refusal:
            raise ChangeFailed(f"patch {reference}", "an admission webhook said no", said=self.refusal)
        return Written({}, (self.refusal,))

    def create(self, manifest: Manifest, dry_run: DryRun = DryRun.NONE) -> Written:
        """Admit a policy that has no effect."""
        assert dry_run is DryRun.ALL
        self.tried.append(manifest)
        return Written(manifest, self.warnings)


def guarded() -> Guarded:
    store = Guarded()
    for baseline in rendered(written_baselines(CLUSTER, NS)):
        store._put(baseline, "kubectl")
    return store


def ran(
    store: MemoryStore, settings: GuardSettings = ENFORCING, seconds: float = 0, clock: NoTime | None = None
) -> str:
    return SelfTest(store, clock or NoTime(), CLUSTER, settings).run(NS, seconds)


def test_a_guard_that_rejects_and_tells_passes_and_nothing_is_left_behind() -> None:
    store = guarded()
    before = dict(store.objects)
    assert ran(store) == "passed"
    assert store.objects == before
    assert store.tried[0]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_a_webhook_that_the_api_server_does_not_know_yet_gets_its_time() -> None:
    store, clock = guarded(), NoTime()
    store.late = 3
    assert ran(store, seconds=10, clock=clock) == "passed"
    assert sum(clock.slept) == 1.5


def test_a_guard_that_lets_an_emptied_baseline_through_fails() -> None:
    store = guarded()
    store.late = 1_000
    with pytest.raises(ChangeFailed, match=r"that empties .*iomete-ingress-egress was not rejected"):
        ran(store, seconds=2)


def test_a_denial_by_another_webhook_does_not_count() -> None:
    store = guarded()
    store.refusal = 'admission webhook "other.example" denied the request: x would cut y'
    with pytest.raises(ChangeFailed, match=r"was not rejected by the guard \(said: admission webhook"):
        ran(store)


def test_a_guard_that_says_nothing_about_a_default_deny_fails_unless_it_is_told_to_keep_quiet() -> None:
    store = guarded()
    store.warnings = ()
    with pytest.raises(ChangeFailed, match="default-deny in data-plane brought no word"):
        ran(store)
    assert ran(store, GuardSettings(tells_no_effect=False)) == "passed"


def test_in_mode_warn_a_warning_is_what_is_expected() -> None:
    store = guarded()
    store.refusal = WARNING
    assert ran(store, GuardSettings(mode="warn")) == "passed, in mode warn: nothing is rejected here"
    store.refusal = "something else"
    with pytest.raises(ChangeFailed, match="brought no warning"):
        ran(store, GuardSettings(mode="warn"))


def test_the_mode_label_of_the_namespace_goes_before_the_settings() -> None:
    labels = {**MANAGED, "netpol-guard.iomete.com/mode": "off"}
    namespaces = {**CLUSTER.namespaces, NS: Namespace.of(NS, labels)}
    test = SelfTest(guarded(), NoTime(), replace(CLUSTER, namespaces=namespaces), GuardSettings())
    assert test.run(NS, 0) == "left out: mode off"


def test_an_exempt_namespace_is_left_out() -> None:
    assert ran(guarded(), GuardSettings(exempt=frozenset({NS}))) == "left out: exempt"


def test_a_baseline_that_went_meanwhile_is_told() -> None:
    with pytest.raises(ChangeFailed, match="the baseline is gone"):
        ran(Guarded())
