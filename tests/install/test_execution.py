from __future__ import annotations

import pytest

from app.engine.baselines import MANAGED_NAME
from app.engine.required_flows import Options
from app.errors import ChangeFailed
from app.install.dry_run import as_yaml, diff_lines, dry_run
from app.install.execution import PolicyRun, RunReport, RunStep, carry_out
from app.install.policies.simulation import Simulation
from app.install.words import note_lines, plan_lines, report_lines, source_lines
from tests.install.store import MemoryStore, NoTime, RecordingTerminal
from tests.install.world import CLUSTER, DENY_ALL, carried_out, manifest, planned, removal


def failing() -> str:
    raise ChangeFailed("do it", "no", "try again")


def interrupted() -> str:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("act", "trouble", "how"),
    [(failing, "could not do it: no; try again", "failed"), (interrupted, "interrupted", "interrupted")],
)
def test_it_ends_with_what_fails_or_is_interrupted_and_knows_what_is_left(
    act: object, trouble: str, how: str
) -> None:
    heard = RecordingTerminal()
    acts = [RunStep("one", lambda: "done"), RunStep("two", act), RunStep("three", lambda: "done")]  # type: ignore[arg-type]
    report = carry_out(acts, heard, ["four"])
    assert (report.done, report.left, report.trouble) == (["one"], ["two", "three", "four"], trouble)
    assert heard.lines == ["one: done", f"two: {how}"]
    told = list(report_lines(report, "netpol-guard again"))
    assert told == [
        f"Stopped: {trouble}",
        "Done: 1 of 4 steps. Left:",
        "  - two",
        "  - three",
        "  - four",
        "What is done stands, and cuts nothing off: the steps were tried in this order.",
        "To complete it: netpol-guard again",
    ]


def test_where_the_first_step_fails_nothing_was_changed() -> None:
    told = list(report_lines(RunReport([], ["one"], "no"), "again"))
    assert "Nothing was changed." in told


def test_what_is_complete_needs_no_words() -> None:
    assert list(report_lines(carry_out([RunStep("one", lambda: "done")], RecordingTerminal()), "again")) == []


def test_a_step_that_would_do_harm_by_now_is_not_made() -> None:
    store = MemoryStore.of()
    carried_out(planned(store), store)
    plan = removal(store)
    store.before_write = lambda: store._put(DENY_ALL, "developer")
    report = carried_out(plan, store)
    assert "were changed meanwhile, and now it would cut" in report.trouble
    assert MANAGED_NAME in {policy.name for policy in store.policies()}


def test_a_policy_that_was_replaced_meanwhile_is_not_deleted() -> None:
    store = MemoryStore.of()
    carried_out(planned(store), store)
    plan = removal(store)
    baseline = next(stored for stored in store.objects if stored.name == MANAGED_NAME)
    store.objects[baseline]["metadata"]["uid"] = "another"
    assert "precondition failed" in carried_out(plan, store).trouble


def test_the_pause_comes_once_and_before_anything_is_taken_away() -> None:
    store, clock = MemoryStore.of(), NoTime()
    acts = PolicyRun(store, clock, Simulation(CLUSTER, Options()), 10.0).of(planned(store).steps)
    titles = [act.title for act in acts]
    assert titles.count("give the network plugin 10 s") == 1
    assert titles.index("give the network plugin 10 s") == len(titles) - 2


def test_a_conflict_names_the_way_to_take_over() -> None:
    store = MemoryStore.of()
    carried_out(planned(store), store)
    operator = next(stored for stored in store.objects if stored.name == "iomete-spark-operator")
    store.objects[operator]["metadata"]["managedFields"][0]["manager"] = "gitops"
    store.objects[operator]["spec"]["ingress"] = []
    tried = dry_run(store, planned(store).steps)
    assert (
        "another manager owns a field: conflict with another; take the field over with --adopt"
        in (tried.problems[0])
    )


def test_what_the_api_server_keeps_for_itself_is_no_difference() -> None:
    one = manifest("one", {}, uid="1", resourceVersion="2", managedFields=[], generation=3)
    two = {**manifest("one", {}, annotations={}), "status": {"x": 1}}
    assert diff_lines(one, two) == ()


def test_yaml_has_no_anchors() -> None:
    shared = {"a": "b"}
    assert as_yaml({"one": shared, "two": shared}) == "one:\n  a: b\ntwo:\n  a: b\n"


def test_the_plan_shows_each_step_with_its_reason_and_its_text() -> None:
    plan = planned(MemoryStore.of())
    lines = list(plan_lines(plan.steps, plan.notes))
    assert lines[0] == "* create NetworkPolicy data-plane/netpol-guard-bridge: stands in meanwhile"
    assert "    +        cidr: 10.20.0.10/32" in lines
    assert lines[-1].startswith("Note: istio-system (a gateway")


def test_a_note_about_many_namespaces_is_told_once() -> None:
    notes = {"": ("all",), **{f"ns-{number}": ("left alone",) for number in range(6)}}
    assert list(note_lines(notes)) == [
        "Note: all",
        "Note: ns-0, ns-1, ns-2, ns-3 and 2 more: left alone",
    ]


def test_sources_are_told_with_how_they_are_known() -> None:
    assert list(source_lines(CLUSTER.sources)) == [
        "The API server calls from:",
        "  10.20.0.10  (guessed: EndpointSlice 10.20.0.10)",
        "  10.20.0.11  (guessed: EndpointSlice 10.20.0.11)",
    ]
