from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from textwrap import dedent, indent

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.engine.fix import Edit, EditKind, Fix, applied
from app.engine.policy import Direction, Peers, PodPeer, Policy, Rule
from app.engine.ports import PortSet, Protocol, port_range
from app.engine.selectors import EVERYTHING, Selector
from app.lint.rewrite import Mending, NotMended, mended
from app.wire.networkpolicy.json_patch import patch_operations
from app.wire.networkpolicy.parse import Validation, parse_policy
from app.wire.networkpolicy.render import render_policy
from app.wire.text.documents import Document, read_documents
from app.wire.text.layout import Layout, in_brackets
from tests.wire.strategies import policies

MANAGED = Rule(Peers((PodPeer(Selector.labels({"iomete.com/managed": "true"})),)))
ADD_INGRESS = Edit(EditKind.ADD_RULE, Direction.INGRESS, rule=MANAGED)
ADD_EGRESS = Edit(EditKind.ADD_RULE, Direction.EGRESS, rule=MANAGED)
ADD_PORT = Edit(
    EditKind.ADD_PORT,
    Direction.INGRESS,
    0,
    replace(MANAGED, ports=PortSet.of([port_range(Protocol.TCP, 80, 80)])),
)
ADD_ALL_PORTS = Edit(EditKind.ADD_PORT, Direction.INGRESS, 0, MANAGED)
ADD_PEER = Edit(EditKind.ADD_PEER, Direction.INGRESS, 0, MANAGED)
DROP_INGRESS = Edit(EditKind.DROP_TYPE, Direction.INGRESS)
DROP_EGRESS = Edit(EditKind.DROP_TYPE, Direction.EGRESS)

HEAD = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p, namespace: ns}  # who
spec:
"""


def mend(text: str, *edits: Edit, number: int = 0) -> str:
    """Return ``text`` with ``edits`` made to its policy ``number``."""
    document = read_documents(text, "p.yaml")[number]
    policy = parse_policy(document.object, validation=Validation.NEW, namespace="ns").policy
    assert policy is not None
    return mended(text, [mending(document, applied(policy, edits))])


def mending(document: Document, fix: Fix) -> Mending:
    return Mending(document, patch_operations(fix), fix.policy)


def block(text: str) -> str:
    return HEAD + indent(dedent(text), "  ")


CASES = [
    pytest.param(
        """\
            # nobody gets in
            podSelector: {}
            policyTypes: [Ingress]  # only
            """,
        [ADD_INGRESS],
        """\
            # nobody gets in
            podSelector: {}
            policyTypes: [Ingress]  # only
            ingress:
              - from:
                  - namespaceSelector:
                      matchLabels:
                        iomete.com/managed: "true"
            """,
        id="a list that is not there is added behind the last member",
    ),
    pytest.param(
        """\
            ingress: []   # nobody
            podSelector: {}
            egress:
            - {}
            """,
        [ADD_INGRESS],
        """\
            ingress:   # nobody
            - from:
              - namespaceSelector:
                  matchLabels:
                    iomete.com/managed: "true"
            podSelector: {}
            egress:
            - {}
            """,
        id="an empty list is filled, dashes where the file has them",
    ),
    pytest.param(
        """\
            ingress:
            podSelector: {}
            """,
        [ADD_INGRESS],
        """\
            ingress:
              - from:
                  - namespaceSelector:
                      matchLabels:
                        iomete.com/managed: "true"
            podSelector: {}
            """,
        id="a list that is null is filled",
    ),
    pytest.param(
        """\
            podSelector: {}
            ingress:
                # the office
                -   from:
                        -   ipBlock: {cidr: 10.0.0.0/8}  # wide
                        # and nobody else

            policyTypes:
                - Ingress
            """,
        [ADD_PEER, ADD_INGRESS],
        """\
            podSelector: {}
            ingress:
                # the office
                -   from:
                        -   ipBlock: {cidr: 10.0.0.0/8}  # wide
                        - namespaceSelector:
                            matchLabels:
                              iomete.com/managed: "true"
                - from:
                      - namespaceSelector:
                          matchLabels:
                            iomete.com/managed: "true"
                        # and nobody else

            policyTypes:
                - Ingress
            """,
        id="a peer and a rule at the same place: the inner list grows first",
    ),
    pytest.param(
        "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}\n",
        [ADD_PEER],
        "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}, "
        '{namespaceSelector: {matchLabels: {iomete.com/managed: "true"}}}]}]}\n',
        id="brackets stay brackets",
    ),
    pytest.param(
        """\
            podSelector: {}
            ingress:
            - ports:
              - port: 443  # https
              from:
              - podSelector: {}
            """,
        [ADD_PORT],
        """\
            podSelector: {}
            ingress:
            - ports:
              - port: 443  # https
              - protocol: TCP
                port: 80
              from:
              - podSelector: {}
            """,
        id="a port is added to the rule that has the peers",
    ),
    pytest.param(
        """\
            podSelector: {}
            ingress:
            - ports:
              - port: 443
              from:
              - podSelector: {}  # us
            """,
        [ADD_ALL_PORTS],
        """\
            podSelector: {}
            ingress:
            - from:
              - podSelector: {}  # us
            """,
        id="ports that no longer restrict anything go, and the dash before them stays",
    ),
    pytest.param(
        """\
            podSelector: {}
            ingress:
            - from:
              - podSelector: {}
              ports:
              - port: 443
              - port: 80  # plain
            egress: []
            """,
        [ADD_ALL_PORTS],
        """\
            podSelector: {}
            ingress:
            - from:
              - podSelector: {}
            egress: []
            """,
        id="ports that no longer restrict anything go with their lines",
    ),
    pytest.param(
        """\
            podSelector: {}
            ingress:
            - from:
              - podSelector: {}
              ports:
              - port: 443
            egress: []
            """,
        [ADD_ALL_PORTS, ADD_INGRESS],
        """\
            podSelector: {}
            ingress:
            - from:
              - podSelector: {}
            - from:
              - namespaceSelector:
                  matchLabels:
                    iomete.com/managed: "true"
            egress: []
            """,
        id="ports go where a rule is added right behind them",
    ),
    pytest.param(
        "podSelector: {}\npolicyTypes: [Ingress, Egress]\n",
        [ADD_EGRESS, DROP_INGRESS],
        """\
            podSelector: {}
            policyTypes:
              - Egress
            egress:
              - to:
                  - namespaceSelector:
                      matchLabels:
                        iomete.com/managed: "true"
            """,
        id="a value that is replaced comes before a member that is added behind it",
    ),
    pytest.param(
        "podSelector: {}\ningress: [{from: [{podSelector: {}}], ports: [{port: 443}]}]\n",
        [ADD_ALL_PORTS],
        "podSelector: {}\ningress: [{from: [{podSelector: {}}]}]\n",
        id="ports in brackets go, too",
    ),
    pytest.param(
        """\
            podSelector: {}
            policyTypes:
            - Ingress   # in
            - Egress    # out
            """,
        [DROP_INGRESS],
        """\
            podSelector: {}
            policyTypes:
            - Egress
            """,
        id="a type is dropped from a block",
    ),
    pytest.param(
        "podSelector: {}\npolicyTypes: [ Ingress, Egress ]  # both\n",
        [DROP_EGRESS],
        "podSelector: {}\npolicyTypes:  # both\n  - Ingress\n",
        id="a type is dropped from brackets",
    ),
    pytest.param(
        "podSelector: {}\negress: [{}]",
        [DROP_INGRESS],
        "podSelector: {}\negress: [{}]\npolicyTypes:\n  - Egress",
        id="a type that was only implied is dropped by naming the other, without a line break at the end",
    ),
]


@pytest.mark.parametrize(("before", "edits", "after"), CASES)
def test_a_fix_changes_only_its_own_lines(before: str, edits: list[Edit], after: str) -> None:
    assert mend(block(before), *edits) == block(after)


@pytest.mark.parametrize(("before", "edits", "after"), CASES)
def test_lines_of_windows_stay_lines_of_windows(before: str, edits: list[Edit], after: str) -> None:
    assert mend(block(before).replace("\n", "\r\n"), *edits) == block(after).replace("\n", "\r\n")


def test_the_other_documents_of_a_file_stay_as_they_are() -> None:
    other = "---\n# a Service\nkind:   Service\napiVersion: v1\n"
    text = f"{other}---\n{block('podSelector: {}')}\n{other}"
    result = mend(text, ADD_INGRESS, number=1)
    assert MEMBERS in result
    assert result.replace(MEMBERS, "") == text


MEMBERS = """\
  ingress:
    - from:
        - namespaceSelector:
            matchLabels:
              iomete.com/managed: "true"
"""


def test_members_of_a_list_are_mended_where_they_stand() -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n" + indent(
        f"- {indent(block('podSelector: {}'), '  ')[2:]}", ""
    )
    assert "    ingress:\n    - from:\n      - namespaceSelector:" in mend(text, ADD_INGRESS)


def test_windows_line_ends_and_a_byte_order_mark_are_kept() -> None:
    text = "\ufeff" + block("podSelector: {}").replace("\n", "\r\n")
    result = mend(text, ADD_INGRESS)
    assert result.startswith(text)
    assert "\n" not in result.replace("\r\n", "")


@pytest.mark.parametrize(
    ("text", "added"),
    [
        (json.dumps({"podSelector": {}}), ', "ingress": [{"from": [{"namespaceSelector": '),
        ('{"podSelector":{}}', ',"ingress":[{"from":[{"namespaceSelector":'),
        (
            '{\n\t"podSelector": {}\n}',
            ',\n\t"ingress": [\n\t\t{\n\t\t\t"from": [\n\t\t\t\t{\n\t\t\t\t\t"namespaceSelector": ',
        ),
    ],
)
def test_json_stays_json_in_the_layout_it_had(text: str, added: str) -> None:
    head = (
        '{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p"}, "spec": '
    )
    head = head.replace(": ", ":").replace(", ", ",") if '":{' in text else head
    result = mend(f"{head}{text}}}", ADD_INGRESS)
    assert added in result
    json.loads(result)


def test_a_baseline_gets_its_documented_text() -> None:
    policy = Policy("ns", "p", EVERYTHING, frozenset(Direction), (MANAGED,), (Rule(),))
    text = block("podSelector: {matchLabels: {a: b}}\ningress:\n- {}\n")
    document = read_documents(text, "p.yaml")[0]
    result = mended(text, [mending(document, Fix(policy, (Edit(EditKind.BASELINE),)))])
    assert result == block("podSelector: {}\n") + MEMBERS_DASHED


MEMBERS_DASHED = """\
  ingress:
  - from:
    - namespaceSelector:
        matchLabels:
          iomete.com/managed: "true"
  egress:
  - {}
  policyTypes:
  - Ingress
  - Egress
"""


def test_what_would_not_read_back_as_the_fixed_policy_is_not_written() -> None:
    text = block("podSelector: {}\n")
    document = read_documents(text, "p.yaml")[0]
    other = Policy("ns", "p", Selector.labels({"a": "b"}), frozenset({Direction.INGRESS}), (MANAGED,))
    with pytest.raises(NotMended, match=r"p\.yaml:5: the fix cannot be written"):
        mended(text, [mending(document, Fix(other, (ADD_INGRESS,)))])


def dumped(value: object, *, style: bool | None = False, indent: int = 2) -> str:
    """Return YAML as PyYAML writes it, without the aliases that it would make of equal objects."""
    copy = json.loads(json.dumps(value))
    return yaml.dump(copy, Dumper=NoAliases, width=10_000, default_flow_style=style, indent=indent)


class NoAliases(yaml.SafeDumper):
    """Writes equal objects out, each time."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's interface
        return True


BLOCKS: list[Callable[[object], str]] = [
    dumped,
    partial(dumped, indent=4),
    lambda value: "\n".join(Layout(dash=2).lines(value)),
    lambda value: "\n".join(Layout(dash=0, step=3).lines(value)) + "\n# the end\n",
]
SPELLINGS: list[Callable[[object], str]] = [
    *BLOCKS,
    partial(dumped, style=None),
    partial(dumped, style=True),
    json.dumps,
    partial(json.dumps, indent=2),
    partial(json.dumps, indent="\t"),
    partial(json.dumps, separators=(",", ":")),
]


def read(text: str) -> tuple[Document, Policy]:
    document = read_documents(text, "p.yaml")[0]
    policy = parse_policy(document.object, validation=Validation.NEW).policy
    assert policy is not None
    return document, policy


def additions(policy: Policy, data: st.DataObject) -> list[Edit]:
    possible = [edit for edit in (ADD_INGRESS, ADD_EGRESS) if edit.direction in policy.types]
    if (rules := policy.rules(Direction.INGRESS)) and rules[0].peers is not None:
        possible.append(ADD_PEER)
    return data.draw(st.lists(st.sampled_from(possible), min_size=1, unique=True))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(policies(), st.sampled_from(SPELLINGS), st.data())
def test_every_fix_can_be_written_into_every_spelling(
    policy: Policy, spelling: Callable[[object], str], data: st.DataObject
) -> None:
    text = spelling(render_policy(policy))
    document, policy = read(text)
    edits = additions(policy, data)
    if len(policy.types) == 2 and data.draw(st.booleans()):
        dropped = data.draw(st.sampled_from([DROP_INGRESS, DROP_EGRESS]))
        edits = [*(edit for edit in edits if edit.direction is not dropped.direction), dropped]
    fix = applied(policy, edits)
    plain = read(json.dumps(render_policy(fix.policy)))[1]
    assert read(mended(text, [mending(document, fix)]))[1] == plain


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(policies(), st.sampled_from(BLOCKS), st.data())
def test_what_a_fix_adds_leaves_every_line_and_comment_in_place(
    policy: Policy, spelling: Callable[[object], str], data: st.DataObject
) -> None:
    lines = spelling(render_policy(policy)).splitlines()
    text = "\n".join(f"{line}  # {number}" for number, line in enumerate(lines))
    document, policy = read(text)
    result = mended(text, [mending(document, applied(policy, additions(policy, data)))])
    kept = iter(result.splitlines())
    assert all(line in kept for line in text.splitlines())


@st.composite
def edited_by_many(draw: st.DrawFn, value: object) -> list[str]:
    """Return a block in lines: comments, blank lines, brackets and indentation as each person likes."""
    lines: list[str] = []
    members = value.items() if isinstance(value, dict) else (("-", member) for member in as_list(value))
    for name, member in members:
        if draw(st.integers(0, 5)) == 0:
            lines.append(draw(st.sampled_from(["", "# a comment", "   # deeper", "#"])))
        lines += draw(entries(str(name), member))
    return lines


@st.composite
def entries(draw: st.DrawFn, name: str, value: object) -> list[str]:
    """Return one member, or one item where the name is a dash."""
    is_item = name == "-"
    head = name if is_item else f"{in_brackets(name)}:"
    remark = draw(st.sampled_from(["", "", "  # why"]))
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 4)) == 0:
        return [f"{head} {in_brackets(value)}{remark}"]
    first, *rest = draw(edited_by_many(value))
    if is_item and first.strip() and not first.lstrip().startswith("#"):
        gap = " " * draw(st.integers(1, 3))
        return [f"-{gap}{first}", *(f" {gap}{line}" for line in rest)]
    indent = " " * draw(st.integers(0 if isinstance(value, list) and not is_item else 1, 4))
    return [f"{head}{remark}", *(f"{indent}{line}" for line in (first, *rest))]


def as_list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(policies(), st.sampled_from(["", "\n", "\n\n# the end\n", "\n...\n"]), st.data())
def test_text_that_many_people_edited_keeps_every_comment_of_theirs(
    policy: Policy, end: str, data: st.DataObject
) -> None:
    text = "\n".join(data.draw(edited_by_many(render_policy(policy)))) + end
    document, policy = read(text)
    result = mended(text, [mending(document, applied(policy, additions(policy, data)))])
    assert result.count("#") == text.count("#")
    assert result.endswith(end)
