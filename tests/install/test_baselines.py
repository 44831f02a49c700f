from __future__ import annotations

from dataclasses import replace

import pytest

from app.engine.baselines import MANAGED_NAME, OPERATOR_NAME, written_baselines
from app.engine.cluster import Source
from app.engine.selectors import Selector
from app.install.plan import Plan
from app.install.policies.namespace import Choices
from app.install.policies.stored import Role
from tests.install import world
from tests.install.store import MemoryStore, NoTime
from tests.install.world import CLUSTER, NS, carried_out, manifest, planned, removal, rendered, titles

BY_HAND = rendered(written_baselines(CLUSTER, NS))
BRIDGED = ["create netpol-guard-bridge", *(f"create {name}" for name in (OPERATOR_NAME, MANAGED_NAME))]
ADOPTING = Choices(adopt=True)


def documented(*addresses: str) -> world.Object:
    """Return the operator's baseline as the platform's page has it, with these addresses."""
    peers = [{"ipBlock": {"cidr": f"{address}/32"}} for address in addresses]
    spec = {
        "podSelector": {"matchLabels": {"service": "spark-operator"}},
        "ingress": [{"from": peers}],
        "egress": [{}],
        "policyTypes": ["Ingress", "Egress"],
    }
    return manifest(OPERATOR_NAME, spec)


def names(store: MemoryStore) -> set[str]:
    return {policy.name for policy in store.policies()}


def notes(plan: Plan) -> str:
    return "\n".join(note for found in plan.notes.values() for note in found)


class TestBringing:
    """Both baselines in."""

    def test_an_empty_namespace_gets_both_over_a_bridge(self) -> None:
        store, clock = MemoryStore.of(), NoTime()
        plan = planned(store)
        assert titles(plan) == [*BRIDGED, "remove netpol-guard-bridge"]
        assert carried_out(plan, store, clock=clock).is_complete
        assert names(store) == {OPERATOR_NAME, MANAGED_NAME}
        assert clock.slept == [10.0]

    def test_a_second_run_changes_nothing(self) -> None:
        store = MemoryStore.of()
        carried_out(planned(store), store)
        assert planned(store).steps == ()

    def test_baselines_that_somebody_wrote_by_hand_are_left_alone_and_reported(self) -> None:
        plan = planned(MemoryStore.of(*BY_HAND))
        assert plan.steps == ()
        assert f"{MANAGED_NAME}, written by kubectl, already says what {MANAGED_NAME} is to say" in notes(
            plan
        )

    def test_an_equal_policy_under_another_name_stands_for_the_baseline(self) -> None:
        renamed = {**BY_HAND[1], "metadata": {"name": "iomete-internal", "namespace": NS}}
        plan = planned(MemoryStore.of(BY_HAND[0], renamed))
        assert plan.steps == ()
        assert "iomete-internal, written by kubectl, already says what iomete-ingress-egress" in notes(plan)

    def test_the_second_half_alone_needs_no_bridge_as_it_only_adds(self) -> None:
        store = MemoryStore.of(BY_HAND[1])
        plan = planned(store)
        assert titles(plan) == [f"create {OPERATOR_NAME}"]
        assert carried_out(plan, store).is_complete

    def test_the_first_half_alone_gets_its_partner_without_a_bridge_too(self) -> None:
        assert titles(planned(MemoryStore.of(BY_HAND[0]))) == [f"create {MANAGED_NAME}"]

    def test_a_documented_baseline_with_missing_addresses_gets_a_policy_beside_it(self) -> None:
        store = MemoryStore.of(documented("10.20.0.10"), BY_HAND[1])
        plan = planned(store)
        assert titles(plan) == [f"create {OPERATOR_NAME}-netpol-guard"]
        assert "lets in what is missing from 10.20.0.10 and 10.20.0.11; --adopt takes it over" in notes(plan)
        assert carried_out(plan, store).is_complete
        assert planned(store).steps == ()

    def test_a_documented_baseline_with_a_wrong_address_is_taken_over_when_told(self) -> None:
        store = MemoryStore.of(documented("192.0.2.9"), BY_HAND[1])
        plan = planned(store, choices=ADOPTING)
        assert titles(plan) == [f"adopt {OPERATOR_NAME}"]
        assert any("192.0.2.9/32" in line for line in plan.steps[0].diff() if line.startswith("-"))
        assert carried_out(plan, store).is_complete
        assert planned(store).steps == ()

    def test_the_policy_beside_goes_when_the_other_is_adopted_later(self) -> None:
        store = MemoryStore.of(documented("10.20.0.10"), BY_HAND[1])
        carried_out(planned(store), store)
        plan = planned(store, choices=ADOPTING)
        assert f"adopt {OPERATOR_NAME}" in titles(plan)
        assert f"remove {OPERATOR_NAME}-netpol-guard" in titles(plan)
        assert carried_out(plan, store).is_complete
        assert names(store) == {OPERATOR_NAME, MANAGED_NAME}
        assert planned(store, choices=ADOPTING).steps == ()

    def test_a_new_source_is_added_to_our_own_policy_in_place(self) -> None:
        store = MemoryStore.of()
        carried_out(planned(store), store)
        grown = replace(CLUSTER, sources=(*CLUSTER.sources, world.source("10.20.0.12")))
        plan = planned(store, grown)
        assert titles(plan) == [f"change {OPERATOR_NAME}"]
        added = [line for line in plan.steps[0].diff() if line.startswith("+")]
        assert added == ["+    - ipBlock:", "+        cidr: 10.20.0.12/32"]
        assert carried_out(plan, store, grown).is_complete

    def test_the_policy_follows_the_selector_of_the_webhooks_service(self) -> None:
        real = world.with_webhooks(world.webhook(selector=Selector.labels({"app": "spark-operator-webhook"})))
        store = MemoryStore.of()
        plan = planned(store, real)
        assert "carry app=spark-operator-webhook, not service=spark-operator as documented" in notes(plan)
        assert carried_out(plan, store, real).is_complete
        operator = next(policy for policy in store.policies() if policy.name == OPERATOR_NAME)
        assert operator.pods == Selector.labels({"app": "spark-operator-webhook"})

    def test_each_webhook_service_gets_its_policy_and_its_bridge(self) -> None:
        two = world.with_webhooks(world.webhook(), world.webhook("other", Selector.labels({"app": "other"})))
        store = MemoryStore.of()
        plan = planned(store, two)
        assert titles(plan)[:2] == ["create netpol-guard-bridge", "create netpol-guard-bridge-2"]
        assert carried_out(plan, store, two).is_complete
        assert names(store) == {OPERATOR_NAME, f"{OPERATOR_NAME}-2", MANAGED_NAME}

    def test_a_policy_of_ours_that_nothing_asks_for_any_more_goes(self) -> None:
        two = world.with_webhooks(world.webhook(), world.webhook("other", Selector.labels({"app": "other"})))
        store = MemoryStore.of()
        carried_out(planned(store, two), store, two)
        plan = planned(store)
        assert titles(plan) == [f"remove {OPERATOR_NAME}-2"]
        assert carried_out(plan, store).is_complete

    def test_a_foreign_policy_of_the_bridges_name_is_not_touched(self) -> None:
        theirs = manifest("netpol-guard-bridge", {"policyTypes": ["Ingress"], "ingress": [{}]})
        store = MemoryStore.of(theirs)
        plan = planned(store)
        assert titles(plan)[0] == "create netpol-guard-bridge-2"
        assert carried_out(plan, store).is_complete
        assert "netpol-guard-bridge" in names(store)

    def test_a_policy_that_is_being_deleted_does_not_stand_for_a_baseline(self) -> None:
        going = {
            **BY_HAND[1],
            "metadata": {**BY_HAND[1]["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"},
        }
        assert f"create {MANAGED_NAME}-netpol-guard" in titles(planned(MemoryStore.of(BY_HAND[0], going)))

    def test_proxy_pods_are_let_in_where_the_distribution_tunnels(self) -> None:
        pods = Source(CLUSTER.sources[0].provenance, "agents", pods=world.agents())
        store, tunnelled = MemoryStore.of(), replace(CLUSTER, sources=(pods,))
        assert carried_out(planned(store, tunnelled), store, tunnelled).is_complete
        assert planned(store, tunnelled).steps == ()


class TestNeighbours:
    """Who else talks to the platform."""

    def test_a_gateway_that_the_baseline_cuts_off_is_pointed_out(self) -> None:
        told = notes(planned(MemoryStore.of()))
        assert "istio-system (a gateway, by its name) will not reach all pods of data-plane" in told
        assert "edge (a gateway: Service ingress) will not reach all pods of data-plane" in told
        assert "--allow-namespace istio-system" in told
        assert "web (" not in told

    def test_a_namespace_that_is_let_in_gets_a_policy_of_its_own_and_no_word_is_lost_about_it(self) -> None:
        store = MemoryStore.of()
        choices = Choices(openings=("istio-system",))
        plan = planned(store, choices=choices)
        assert "create netpol-guard-allow-istio-system" in titles(plan)
        assert "istio-system (" not in notes(plan)
        assert carried_out(plan, store).is_complete
        assert planned(store, choices=choices).steps == ()

    def test_what_was_let_in_stays_so_without_being_said_again(self) -> None:
        store = MemoryStore.of()
        carried_out(planned(store, choices=Choices(openings=("istio-system",))), store)
        assert planned(store).steps == ()

    def test_nothing_is_said_about_what_was_cut_off_before(self) -> None:
        assert "will not reach" not in notes(planned(MemoryStore.of(world.DENY_ALL)))


class TestTakingAway:
    """Both baselines out."""

    def test_both_go_over_a_bridge(self) -> None:
        store = MemoryStore.of()
        carried_out(planned(store), store)
        plan = removal(store)
        assert titles(plan) == [
            "create netpol-guard-bridge",
            f"remove {OPERATOR_NAME}",
            f"remove {MANAGED_NAME}",
            "remove netpol-guard-bridge",
        ]
        assert carried_out(plan, store).is_complete
        assert names(store) == set()
        assert removal(store).steps == ()

    def test_those_that_were_written_by_hand_go_too_whatever_their_addresses(self) -> None:
        store = MemoryStore.of(documented("192.0.2.9"), BY_HAND[1])
        plan = removal(store)
        assert "was written by kubectl, which may bring it back" in notes(plan)
        assert carried_out(plan, store).is_complete
        assert names(store) == set()

    def test_openings_go_and_policies_of_others_stay(self) -> None:
        theirs = manifest("theirs", {"policyTypes": ["Ingress"], "ingress": [{}]})
        store = MemoryStore.of(theirs)
        carried_out(planned(store, choices=Choices(openings=("istio-system",))), store)
        assert carried_out(removal(store), store).is_complete
        assert names(store) == {"theirs"}

    def test_it_is_refused_where_a_policy_of_others_would_cut_flows_off_then(self) -> None:
        store = MemoryStore.of(*BY_HAND, world.DENY_ALL)
        plan = removal(store)
        assert plan.steps == ()
        assert "isolated by default-deny" in plan.problems[0]

    def test_a_namespace_without_baselines_has_nothing_to_take_away(self) -> None:
        assert removal(MemoryStore.of()).steps == ()


class TestWhoseTheyAre:
    """Ours, or somebody else's."""

    def test_a_label_alone_of_somebody_else_does_not_make_a_policy_ours(self) -> None:
        labelled = manifest("x", {}, labels={"netpol-guard.iomete.com/role": "baseline"})
        assert MemoryStore.of(labelled).stored()[0].role is None

    @pytest.mark.parametrize("role", Role)
    def test_what_we_write_is_recognised_as_ours(self, role: Role) -> None:
        labels = {"netpol-guard.iomete.com/role": role.value, "app.kubernetes.io/managed-by": "netpol-guard"}
        assert MemoryStore.of(manifest("x", {}, labels=labels)).stored()[0].role is role
