from __future__ import annotations

from textwrap import indent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.engine.budget import Unlimited
from app.engine.cluster import Cluster
from app.engine.policy import Namespace, Policy
from app.engine.required_flows import Options
from app.lint.findings import Level, LintFinding, LintReport, LintRule
from app.lint.lint import Assumptions, Work, lint
from app.lint.overlap import Neighbours
from app.model.declared_sources import declared_source
from app.wire.networkpolicy.parse import Validation, parse_policy
from app.wire.text.documents import read_documents
from tests.wire.strategies import policies

SOURCES = Cluster(sources=(declared_source("10.20.0.10"),))
MANAGED = {"iomete.com/managed": "true"}
BOTH = "podSelector: {}\npolicyTypes: [Ingress, Egress]\n"
FROM_MANAGED = "ingress: [{from: [{namespaceSelector: {matchLabels: {iomete.com/managed: 'true'}}}]}]\n"


def manifest(name: str, spec: str, namespace: str = "data-plane") -> str:
    return (
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
        f"metadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n{indent(spec, '  ')}"
    )


def namespace_manifest(name: str, labels: str = "") -> str:
    return f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  labels: {{{labels}}}\n"


def linted(*manifests: str, assumptions: Assumptions | None = None) -> LintReport:
    documents = read_documents("---\n".join(manifests), "all.yaml")
    return lint(documents, assumptions or Assumptions(cluster=SOURCES), Work(Options(), Unlimited))


def policy(name: str, spec: str, namespace: str = "data-plane") -> Policy:
    (document,) = read_documents(manifest(name, spec, namespace), "state.yaml")
    parsed = parse_policy(document.object, validation=Validation.STORED).policy
    assert parsed is not None
    return parsed


def base(*standing: Policy, **namespaces: dict[str, str]) -> Assumptions:
    known = {"data-plane": MANAGED, "control": MANAGED, **namespaces}
    by_namespace = {name: tuple(policy for policy in standing if policy.namespace == name) for name in known}
    cluster = Cluster(
        {name: Namespace.of(name, labels) for name, labels in known.items()}, by_namespace, SOURCES.sources
    )
    return Assumptions(base=cluster)


def said(report: LintReport) -> list[tuple[str, str, int]]:
    return [(finding.level.value, finding.rule.value, finding.place[0]) for finding in report.findings]


def named(report: LintReport, rule: LintRule) -> list[str]:
    found = [finding.document.object["metadata"] for finding in report.findings if finding.rule is rule]
    return [str(metadata["name"]) for metadata in found if isinstance(metadata, dict)]


APPS = [
    manifest(name, f"podSelector: {{matchLabels: {{app: {name}}}}}\ningress: []\n")
    for name in ("a", "b", "c")
]


def test_every_policy_that_costs_a_flow_is_named_with_a_fix_of_its_own() -> None:
    report = linted(*APPS)
    assert named(report, LintRule.MANAGED_INGRESS) == ["a", "b", "c"]
    assert all(
        finding.fix is not None and finding.fix.policy.pods != policy("x", BOTH).pods
        for finding in report.findings
    )


def test_a_policy_whose_pods_another_one_opens_is_not_named() -> None:
    opener = manifest("opener", f"podSelector: {{matchLabels: {{app: b}}}}\n{FROM_MANAGED}")
    assert named(linted(*APPS, opener), LintRule.MANAGED_INGRESS) == ["a", "c"]


def test_pods_of_two_policies_count_once_and_mending_the_first_is_enough() -> None:
    everywhere = manifest("deny", "podSelector: {}\n")
    assert named(linted(everywhere, *APPS), LintRule.MANAGED_INGRESS) == ["deny"]


def test_a_policy_that_isolates_in_one_direction_is_not_named_for_the_other() -> None:
    report = linted(
        manifest("in", "podSelector: {}\npolicyTypes: [Ingress]\n"),
        manifest("out", "podSelector: {}\npolicyTypes: [Egress]\n"),
    )
    assert named(report, LintRule.MANAGED_INGRESS) == ["in"]
    assert named(report, LintRule.MANAGED_EGRESS) == ["out"]
    assert all(finding.fix is not None for finding in report.findings)


def test_a_finding_that_the_baselines_would_take_away_says_that_it_is_assumed() -> None:
    report = linted(manifest("deny", BOTH))
    assert report.findings
    assert all(finding.is_assumed for finding in report.findings)


def test_a_narrowed_baseline_is_wrong_beside_the_other_one_too_but_the_webhook_is_open_there() -> None:
    narrowed = manifest("iomete-ingress-egress", BOTH + "egress: [{}]\ningress: []\n")
    report = linted(narrowed)
    assert {finding.rule: finding.is_assumed for finding in report.findings} == {
        LintRule.MANAGED_INGRESS: False,
        LintRule.WEBHOOK_INGRESS: True,
    }


def test_beside_the_baselines_a_default_deny_is_clean() -> None:
    assumptions = Assumptions(cluster=SOURCES, baselines=True)
    assert linted(manifest("deny", BOTH), assumptions=assumptions).findings == ()


def test_a_change_to_a_state_is_judged_by_that_state_and_nothing_is_assumed() -> None:
    report = linted(manifest("deny", BOTH), assumptions=base())
    assert {finding.is_assumed for finding in report.findings} == {False}
    open_to_all = policy(
        "open", "podSelector: {}\ningress: [{}]\negress: [{}]\npolicyTypes: [Ingress, Egress]"
    )
    assert linted(manifest("deny", BOTH), assumptions=base(open_to_all)).findings == ()


def test_a_policy_that_allows_less_than_the_one_it_replaces_is_to_blame() -> None:
    standing = (policy("deny", "podSelector: {}\n"), policy("allow", f"podSelector: {{}}\n{FROM_MANAGED}"))
    report = linted(
        manifest("other", "podSelector: {matchLabels: {a: b}}\ningress: []\n"),
        manifest("allow", "podSelector: {matchLabels: {a: b}}\ningress: [{}]\n"),
        assumptions=base(*standing),
    )
    assert named(report, LintRule.MANAGED_INGRESS) == ["allow"]


def test_what_was_lost_before_the_change_is_not_its_fault() -> None:
    report = linted(
        manifest("deny", "podSelector: {}\n"), assumptions=base(policy("old", "podSelector: {}\n"))
    )
    assert report.findings == ()


def test_taking_the_managed_label_away_is_a_finding_at_the_label() -> None:
    selects = policy("in", f"podSelector: {{}}\n{FROM_MANAGED}", "control")
    report = linted(namespace_manifest("data-plane"), assumptions=base(selects))
    assert said(report) == [("error", "managed-ingress", 5)]
    assert "data-plane" in "".join(report.findings[0].details)
    assert "taken for all that the namespace will have" in report.findings[0].details[-1]


def test_a_new_namespace_and_one_that_becomes_managed_are_clean() -> None:
    selects = policy("in", f"podSelector: {{}}\n{FROM_MANAGED}", "control")
    new = [namespace_manifest(name, "iomete.com/managed: 'true'") for name in ("brand-new", "plain")]
    assert linted(*new, assumptions=base(selects, plain={})).findings == ()


def test_a_policy_that_is_given_twice_is_pointed_out_and_the_last_one_counts() -> None:
    open_to_all = manifest("p", "podSelector: {}\ningress: [{}]\n")
    report = linted(manifest("p", "podSelector: {}\n"), open_to_all)
    assert said(report) == [("warning", "duplicate", 4)]
    assert "all.yaml:12" in report.findings[0].message


def test_policies_with_a_generated_name_are_not_taken_for_one() -> None:
    made = [text.replace("name: ", "generateName: ", 1) for text in APPS]
    found = [finding.rule for finding in linted(*made).findings]
    assert found.count(LintRule.MANAGED_INGRESS) == 3
    assert LintRule.DUPLICATE not in found


def test_offline_the_documented_webhook_is_assumed_and_only_warned_of() -> None:
    (found,) = (
        finding
        for finding in linted(manifest("deny", BOTH)).findings
        if finding.rule is LintRule.WEBHOOK_INGRESS
    )
    assert found.level is Level.WARNING
    assert "a pod with label service=spark-operator" in found.details[0]


def test_other_kinds_are_counted_policies_of_network_plugins_among_them() -> None:
    other = "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nspec: {selector: all()}\n"
    report = linted(other, "kind: ConfigMap\napiVersion: v1\n", "{a: b}\n")
    assert report.skipped == {"ConfigMap": 1, "NetworkPolicy": 1, "objects without kind": 1}
    assert report.policies == 0


def test_an_api_version_that_is_gone_is_invalid() -> None:
    old = manifest("p", "podSelector: {}\n").replace("networking.k8s.io/v1", "extensions/v1beta1")
    assert said(linted(old)) == [("error", "invalid", 1)]


def test_a_namespace_that_is_not_managed_is_named_but_not_judged() -> None:
    report = linted(manifest("deny", BOTH), namespace_manifest("data-plane"))
    assert report.findings == ()
    assert report.notes == ("not judged, as IOMETE does not manage it: data-plane",)


def test_without_the_api_servers_addresses_it_is_said_that_webhooks_are_not_judged() -> None:
    report = linted(manifest("deny", BOTH), assumptions=Assumptions())
    assert report.notes == (
        "webhooks not judged, as the API server's addresses are not known: give --api-server",
    )


class Spent:
    """A budget that is used up."""

    def exhausted(self) -> bool:
        return True


def test_what_is_too_complex_to_verify_is_an_error() -> None:
    documents = read_documents("---\n".join(APPS), "all.yaml")
    report = lint(documents, Assumptions(), Work(Options(), Spent))
    assert said(report) == [("error", "too-complex", 7)]


def test_the_report_counts_errors_and_warnings() -> None:
    (document,) = read_documents(APPS[0], "a.yaml")
    findings = tuple(
        LintFinding(level, LintRule.INVALID, document, "", "") for level in (*Level, Level.ERROR)
    )
    assert (LintReport(findings).errors, LintReport(findings).warnings) == (2, 1)


@pytest.mark.parametrize("rule", LintRule)
def test_every_rule_says_what_it_means(rule: LintRule) -> None:
    assert rule.meaning.endswith(".")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(policies(), max_size=4))
def test_neighbours_are_the_policies_that_can_select_the_same_pods(found: list[Policy]) -> None:
    neighbours = Neighbours(found)
    for finding in found:
        assert neighbours.of(finding) == tuple(other for other in found if other.pods & finding.pods)
