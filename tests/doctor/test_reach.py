from __future__ import annotations

import html
import random
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.doctor.losses import Condition
from app.doctor.map.drawings import as_dot, as_mermaid, as_text
from app.doctor.map.graph import Reach
from app.doctor.map.page import map_page
from app.doctor.map.reach import reach_of
from app.doctor.report.page import Imprint
from app.doctor.verdicts import Verdicts
from app.engine.budget import Unlimited
from app.engine.cluster import MANAGED, Cluster
from app.engine.policy import ALLOW_ALL, Direction, Namespace, Peers, PodPeer, Policy, Rule
from app.engine.regions import NamespaceTable
from app.engine.required_flows import Options
from app.engine.selectors import EVERYTHING, NAMESPACE_NAME_LABEL, Selector
from tests.doctor.browser import dom_of, picture_of, program
from tests.doctor.world import Manifest, changed, context, healthy

LABEL = {"iomete.com/managed": "true"}
NARROW: Manifest = {
    "patch": "NetworkPolicy data-plane/iomete-ingress-egress",
    "with": {"spec": {"ingress": [{"from": [{"podSelector": {}}]}]}},
}


def reach(*change: Manifest) -> Reach:
    return reach_of(context(changed(healthy(), change)).verdicts)


def links(drawn: Reach) -> dict[tuple[str, str], Condition]:
    return {(edge.source.names[0], edge.target.names[0]): edge.condition for edge in drawn.edges}


def test_in_a_healthy_cluster_everybody_reaches_everybody_and_is_one_group() -> None:
    drawn = reach()
    assert [group.names for group in drawn.groups] == [("data-plane", "data-plane-2", "iomete-system")]
    assert drawn.is_whole
    assert [(hook.webhook, hook.ports, hook.condition) for hook in drawn.hooks] == [
        ("iomete-system/spark-operator-webhook", "TCP 9443", Condition.OPEN)
    ]


def test_a_namespace_that_lets_only_itself_in_is_reached_by_no_other() -> None:
    drawn = reach(NARROW)
    assert links(drawn) == {
        ("data-plane-2", "data-plane-2"): Condition.OPEN,
        ("data-plane-2", "data-plane"): Condition.LOST,
        ("data-plane", "data-plane-2"): Condition.OPEN,
        ("data-plane", "data-plane"): Condition.OPEN,
    }
    ((_, why),) = drawn.troubles
    assert "isolated for Ingress by iomete-ingress-egress" in " ".join(why)


def test_a_lost_webhook_is_drawn_as_lost() -> None:
    wrong: Manifest = {
        "patch": "NetworkPolicy iomete-system/iomete-spark-operator",
        "with": {"spec": {"ingress": [{"from": [{"ipBlock": {"cidr": "203.0.113.7/32"}}]}]}},
    }
    (hook,) = reach(wrong).hooks
    assert hook.condition is Condition.LOST
    assert not reach(wrong).is_whole


def own_only(name: str) -> Policy:
    rule = Rule(Peers((PodPeer.own(name),)))
    return Policy(name, "own", EVERYTHING, frozenset({Direction.INGRESS}), (rule,))


def test_hundreds_of_namespaces_that_let_only_themselves_in_are_one_group() -> None:
    names = [f"team-{number}" for number in range(300)]
    cluster = Cluster(
        {name: Namespace.of(name, LABEL) for name in names}, {name: (own_only(name),) for name in names}
    )
    drawn = reach_of(Verdicts(cluster, Options(), Unlimited))
    assert [len(group.names) for group in drawn.groups] == [300]
    assert [edge.condition for edge in drawn.edges] == [Condition.LOST]
    assert len(as_text(drawn).splitlines()) < 20


# -- every pair against a question of its own ----------------------------------------------------------------


def some_policy(seed: random.Random, name: str, names: list[str]) -> Policy:
    peers = seed.choice(
        [
            None,
            Peers((PodPeer(MANAGED),)),
            Peers((PodPeer.own(name),)),
            Peers((PodPeer(Selector.labels({NAMESPACE_NAME_LABEL: seed.choice(names)})),)),
            Peers((PodPeer(Selector.labels({"team": "a"})),)),
            Peers((PodPeer(MANAGED, Selector.labels({"app": "db"})),)),
        ]
    )
    rules = seed.choice([(Rule(peers),), (ALLOW_ALL,), ()])
    types = seed.choice([{Direction.INGRESS}, {Direction.EGRESS}, set(Direction)])
    pods = seed.choice([EVERYTHING, Selector.labels({"app": "db"})])
    return Policy(name, f"p{seed.random()}", pods, frozenset(types), rules, rules)


@pytest.mark.parametrize("number", range(40))
def test_groups_and_their_edges_tell_of_every_pair_what_the_engine_says_of_it(number: int) -> None:
    seed = random.Random(number)
    names = [f"n{index}" for index in range(6)]
    namespaces = {
        name: Namespace.of(name, {**LABEL, **({"team": "a"} if seed.random() < 0.4 else {})})
        for name in names
    }
    policies = {
        name: tuple(some_policy(seed, name, names) for _ in range(seed.randint(0, 2))) for name in names
    }
    cluster = Cluster(namespaces, policies)
    drawn = reach_of(Verdicts(cluster, Options(), Unlimited))
    group = {name: each.key for each in drawn.groups for name in each.names}
    edges = {(edge.source.key, edge.target.key): edge.condition for edge in drawn.edges}
    for source in names:
        for target in names:
            pair = frozenset({source, target})
            alone = reach_of(_Alone(cluster, pair), pair)
            expected = next(
                edge.condition
                for edge in alone.edges
                if source in edge.source.names and target in edge.target.names
            )
            if source != target or len([name for name in names if group[name] == group[source]]) == 1:
                assert edges[group[source], group[target]] is expected, (source, target)


class _Alone(Verdicts):
    """Verdicts for a map of two namespaces, so that nobody else is in anybody's group."""

    def __init__(self, cluster: Cluster, pair: frozenset[str]) -> None:
        super().__init__(cluster, Options(), Unlimited)
        self.guarded = pair
        self.table = NamespaceTable(cluster.namespaces)


# -- drawings ------------------------------------------------------------------------------------------------


def test_the_text_is_a_table_and_tells_why() -> None:
    text = as_text(reach(NARROW))
    assert "from \\ to    g1    g2\ng1          yes    NO\n" in text
    assert "lost: g1 -> g2\n  example: a pod in data-plane-2 -> a pod in data-plane, TCP 443" in text


def test_graphviz_reads_the_dot_drawing_and_lost_is_red() -> None:
    dot = as_dot(reach(NARROW))
    done = subprocess.run(
        [program("dot"), "-Tsvg"], input=dot, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "iomete-system/spark-operator-webhook" in html.unescape(done.stdout)
    assert re.search('g1 -> g2 \\[color="#c2263a"', dot)


def test_mermaid_has_a_style_for_every_arrow_and_no_character_that_it_would_take_for_syntax() -> None:
    lines = as_mermaid(reach(NARROW)).splitlines()
    assert lines[0] == "flowchart LR"
    arrows = [line for line in lines if re.search("-->|-\\.->", line)]
    styled = [number for line in lines if "linkStyle" in line for number in line.split()[1].split(",")]
    assert sorted(map(int, styled)) == list(range(len(arrows)))
    labels = re.findall('"([^"]*)"', "\n".join(lines))
    assert labels
    assert not any(re.search("[<>](?!br/|$)", label.replace("<br/>", "")) for label in labels)


@pytest.mark.parametrize("width", [1280, 390], ids=["desktop", "phone"])
def test_a_browser_draws_the_map_in_light_and_dark(tmp_path: Path, width: int) -> None:
    page = tmp_path / "map.html"
    page.write_text(map_page(reach(NARROW), Imprint("https://cluster.example", datetime.now(UTC), "1")))
    assert dom_of(page).count('class="lost"') == 1
    light = picture_of(page, tmp_path / "light.png", width=width, height=900)
    dark = picture_of(page, tmp_path / "dark.png", width=width, height=900, dark=True)
    assert light != dark
    assert min(len(light), len(dark)) > 10_000
