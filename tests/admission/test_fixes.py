from __future__ import annotations

import json

from app.engine.fix import Edit, EditKind, Fix
from app.engine.policy import Direction
from app.wire.networkpolicy.json_patch import edit_words, patch_text
from tests.admission import world
from tests.admission.changes import reviews_agree
from tests.admission.fixes import kinds_of_fixes
from tests.admission.jsonpatch import apply_patch
from tests.admission.labels import labels_agree


def test_every_fix_applied_as_shown_loses_nothing_by_brute_force_and_is_admitted() -> None:
    kinds = kinds_of_fixes(500, seed=7)
    assert kinds.total() == 500
    assert {
        "replace /spec",
        "add /spec/ingress",
        "add /spec/ingress/-",
        "add /spec/ingress/*/from/-",
        "remove /spec/egress/*/ports",
    } <= set(kinds), "the changes do not reach far enough to mean anything"


def test_answers_name_just_the_flows_that_brute_force_finds_cut() -> None:
    assert reviews_agree(1_000, seed=7) == 1_000


def test_changes_of_a_namespace_s_labels_are_rejected_just_for_the_flows_that_brute_force_finds_cut() -> None:
    assert labels_agree(500, seed=7) == 500


def test_a_missing_port_is_added_to_the_rule_that_has_its_peers_and_nobody_else() -> None:
    narrow = world.manifest(
        "narrow",
        {
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "from": [{"namespaceSelector": {"matchLabels": {"iomete.com/managed": "true"}}}],
                    "ports": [{"protocol": "TCP", "port": 443}],
                },
                {
                    "from": [{"ipBlock": {"cidr": world.API_SERVER}}],
                    "ports": [{"protocol": "TCP", "port": 443}],
                },
            ],
        },
    )
    answer = world.ask(world.cluster(), world.request("CREATE", narrow))
    assert "add to ingress[1]: TCP 9443; add to ingress[0]: all ports" in answer.message
    patch = json.loads(next(line for line in answer.message.splitlines() if "patch: " in line)[9:])
    assert patch == [
        {"op": "add", "path": "/spec/ingress/1/ports/-", "value": {"protocol": "TCP", "port": 9443}},
        {"op": "remove", "path": "/spec/ingress/0/ports"},
    ]


def test_a_policy_type_is_dropped_by_writing_those_that_stay() -> None:
    both = world.parsed(world.DENY_ALL)
    kept = world.parsed(world.manifest("default-deny", {"policyTypes": ["Ingress"]}))
    fix = Fix(kept, (Edit(EditKind.DROP_TYPE, Direction.EGRESS),))
    assert edit_words(fix.edits[0]) == "take Egress out of policyTypes"
    assert world.parsed(apply_patch(world.rendered(both), json.loads(patch_text(fix)))) == kept
