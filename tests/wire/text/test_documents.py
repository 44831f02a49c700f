from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.wire.errors import UnusableInput
from app.wire.text.documents import MOST_BYTES, Document, decode_text, read_documents
from app.wire.text.yaml_reader import DEEPEST
from tests.wire.strategies import ANYTHING

POLICY = """\
# keeps the database to itself
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: db
  labels: {example.com/team: "blue"}
spec:
  podSelector: {}
  ingress:
  - from:
    - namespaceSelector: {}
    - ipBlock:
        cidr: 10.0.0.0/8
    ports:
    - port: 80
"""
OBJECT = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "db", "labels": {"example.com/team": "blue"}},
    "spec": {
        "podSelector": {},
        "ingress": [
            {
                "from": [{"namespaceSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}],
                "ports": [{"port": 80}],
            }
        ],
    },
}


def one(text: str) -> Document:
    (document,) = read_documents(text, "file")
    return document


def refusal(text: str) -> tuple[int, int, str]:
    with pytest.raises(UnusableInput) as caught:
        read_documents(text, "file")
    return caught.value.line, caught.value.column, caught.value.message


# --------------------------------------------------------------------------------------- documents
def test_a_yaml_document_is_its_object_with_kind_and_version() -> None:
    document = one(POLICY)
    assert document.object == OBJECT
    assert (document.kind, document.api_version) == ("NetworkPolicy", "networking.k8s.io/v1")
    assert document.origin == "file"


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_json_is_read_as_the_same_object(indent: int | None) -> None:
    assert one(json.dumps(OBJECT, indent=indent)) == one(POLICY)


@pytest.mark.parametrize(
    "text", ["", "\n", "# only a comment\n", "---\n", "---\n---\n# x\n---\nnull\n", "\ufeff"]
)
def test_documents_without_content_are_skipped(text: str) -> None:
    assert read_documents(text, "file") == ()


def test_several_documents_come_in_their_order() -> None:
    text = "kind: A\n---\n---\nkind: B\n...\n---\n{kind: C}\n"
    assert [document.kind for document in read_documents(text, "file")] == ["A", "B", "C"]


def test_several_json_values_come_in_their_order() -> None:
    text = '{"kind": "A"}\n{"kind": "B"} {"kind": "C"}'
    assert [document.kind for document in read_documents(text, "file")] == ["A", "B", "C"]


def test_flow_style_that_is_no_json_is_still_yaml() -> None:
    assert one("{kind: A, b: [c,], d: 'e'}").object == {"kind": "A", "b": ["c"], "d": "e"}


def test_windows_line_ends_and_a_byte_order_mark_are_fine() -> None:
    document = one("\ufeff" + POLICY.replace("\n", "\r\n"))
    assert document.object == OBJECT
    assert document.place("spec.podSelector") == (8, 16)


def test_tabs_inside_json_are_fine() -> None:
    assert one('{\n\t"kind": "A"\n}').place("kind") == (2, 10)


def test_an_object_without_kind_has_an_empty_one() -> None:
    assert one("replicas: 3\n").kind == ""


# ------------------------------------------------------------------------------------------- lists
ITEMS = [{"kind": "A", "n": 1}, {"kind": "B", "n": 2}]


@pytest.mark.parametrize("write", [json.dumps, lambda value: json.dumps(value, indent=2)])
def test_members_of_a_list_are_documents(write: object) -> None:
    assert callable(write)
    documents = read_documents(write({"kind": "List", "apiVersion": "v1", "items": ITEMS}), "file")
    assert [document.object for document in documents] == ITEMS


def test_members_of_a_typed_list_have_its_kind_and_version() -> None:
    text = "kind: NetworkPolicyList\napiVersion: networking.k8s.io/v1\nitems:\n- metadata: {name: p}\n"
    assert one(text).object == {
        "kind": "NetworkPolicy",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {"name": "p"},
    }


def test_lists_may_hold_lists() -> None:
    text = json.dumps({"kind": "List", "items": [{"kind": "List", "items": ITEMS}, {"kind": "C"}]})
    assert [document.kind for document in read_documents(text, "file")] == ["A", "B", "C"]


@pytest.mark.parametrize("items", ["[]", "null"])
def test_an_empty_list_holds_nothing(items: str) -> None:
    assert read_documents(f"kind: List\nitems: {items}\n", "file") == ()


def test_a_kind_that_only_ends_like_a_list_is_no_list() -> None:
    assert one("kind: AllowList\nspec: {}\n").kind == "AllowList"


def test_members_of_a_list_know_their_own_places() -> None:
    text = "kind: List\nitems:\n- kind: A\n  spec: 1\n- kind: B\n  spec: 2\n"
    assert [document.place("spec") for document in read_documents(text, "file")] == [(4, 9), (6, 9)]


def test_members_of_a_json_list_know_their_own_places() -> None:
    text = '{"kind": "List",\n "items": [\n  {"kind": "A",\n   "spec": 1},\n  {"kind": "B",\n   "spec": 2}]}'
    assert [document.place("spec") for document in read_documents(text, "file")] == [(4, 12), (6, 12)]


def test_members_of_a_list_in_a_list_know_their_own_places() -> None:
    inner = '{"kind": "List", "items": [\n{"kind": "A"},\n{"kind": "B"}]}'
    yaml = f"kind: List\nitems:\n- kind: C\n- {inner}\n"
    text = f'{{"kind": "List", "items": [{{"kind": "C"}},\n{inner}]}}'
    assert [document.place("kind")[0] for document in read_documents(text, "file")] == [1, 3, 4]
    assert [document.place("kind")[0] for document in read_documents(yaml, "file")] == [3, 5, 6]


# ------------------------------------------------------------------------------------------ places
@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("", (2, 1)),
        ("kind", (3, 7)),
        ("metadata", (5, 3)),
        ("metadata.name", (5, 9)),
        ("metadata.labels[example.com/team]", (6, 30)),
        ("spec.podSelector", (8, 16)),
        ("spec.ingress", (10, 3)),
        ("spec.ingress[0]", (10, 5)),
        ("spec.ingress[0].from[1]", (12, 7)),
        ("spec.ingress[0].from[1].ipBlock.cidr", (13, 15)),
        ("spec.ingress[0].ports[0].port", (15, 13)),
    ],
)
def test_every_value_knows_its_line_and_column(path: str, place: tuple[int, int]) -> None:
    assert one(POLICY).place(path) == place


@pytest.mark.parametrize(
    ("path", "ancestor"),
    [
        ("spec.policyTypes[1]", "spec"),
        ("spec.ingress[7].from", "spec.ingress"),
        ("spec.ingress[0].from[0].podSelector.matchLabels", "spec.ingress[0].from[0]"),
        ("metadata.name.more", "metadata.name"),
        ("metadata.namespace", "metadata"),
        ("nothing.like[99999999999999999999].this", ""),
    ],
)
def test_a_value_that_is_not_there_has_the_place_of_its_nearest_ancestor(path: str, ancestor: str) -> None:
    for text in (POLICY, json.dumps(OBJECT, indent=2)):
        assert one(text).place(path) == one(text).place(ancestor)


@given(st.dictionaries(st.text(max_size=4), ANYTHING, max_size=4))
def test_json_places_point_at_the_first_character_of_the_value(members: dict[str, object]) -> None:
    text = json.dumps({**members, "wanted": "here"}, indent=1)
    document = one(json.dumps({"kind": "X", "spec": {**members, "wanted": ["here"]}}, indent=1))
    line, column = document.place("spec.wanted[0]")
    text = json.dumps(document.object, indent=1)
    assert text.split("\n")[line - 1][column - 1 :].startswith('"here"')


@pytest.mark.parametrize("key", ["yes", "on", "08", "0x10", "!!str yes", "!!bool 'on'", "'a'", "1.0"])
def test_a_key_is_found_by_what_it_means(key: str) -> None:
    document = one(f"spec:\n  {key}: wanted\n")
    spec = document.object["spec"]
    assert isinstance(spec, dict)
    (meant,) = spec
    assert document.place(f"spec.{meant}") == (2, 5 + len(key))


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\x85", "\u2028"])
def test_lines_are_counted_as_yaml_breaks_them(line_break: str) -> None:
    assert one(line_break.join(("# first", "kind: A", "spec: 1"))).place("spec") == (3, 7)


def test_a_place_in_one_document_is_known_whatever_is_wrong_in_the_next() -> None:
    line, column, message = refusal("''\n---\na: *x\n")
    assert (line, column, message) == (1, 1, "must be an object, not a string")


# --------------------------------------------------------------------------------- refused with place
@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: 1\n\tb: 2\n", (2, 1), "a tab stands where YAML wants spaces"),
        ("a: 1\nb: [1, 2\n", (3, 1), "not valid YAML"),
        ("a: b: c\n", (1, 5), "mapping values are not allowed"),
        ("a: 'x\n", (2, 1), "not valid YAML"),
        ("a: \x07\n", (1, 4), "control characters are not allowed"),
        ("kind: A\n---\nb: \x07\n", (3, 4), "control characters are not allowed"),
        ("a: \ud800\n", (1, 4), "surrogate"),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", (4, 3), 'duplicate key "c"'),
        ("1: a\n'1': b\n", (2, 1), 'duplicate key "1"'),
        ('{"a": 1,\n "a": 2}', (2, 2), 'duplicate key "a"'),
        ("a: &x 1\n", (1, 4), "anchor &x"),
        ("a: &x [1]\n", (1, 4), "anchor &x"),
        ("a: *x\n", (1, 4), "alias *x"),
        ("a:\n  <<: {b: 1}\n", (2, 3), "merge key"),
        ("a: !ruby/object {}\n", (1, 4), "tag !ruby/object is not allowed"),
        ("a: !!python/name:os.system x\n", (1, 4), "is not allowed"),
        ("a: !!binary aGk=\n", (1, 4), "is not allowed"),
        ("a: !!int x\n", (1, 4), '"x" is no int'),
        ("a: .inf\n", (1, 4), "no number that JSON knows"),
        ("a: !!float .nan\n", (1, 4), "no number that JSON knows"),
        ("? [a]\n: 1\n", (1, 3), "a key must be a string"),
        ("? {a: b}\n: 1\n", (1, 3), "a key must be a string"),
        ("~: 1\n", (1, 1), "a key must be a string"),
        ("- a\n- b\n", (1, 1), "must be an object, not a list"),
        ("[1, 2]", (1, 1), "must be an object, not a list"),
        ("kind: A\n---\njust words\n", (3, 1), "must be an object, not a string"),
        ("kind: [A]\n", (1, 7), "kind must be a string, not a list"),
        ("kind: List\nitems: {}\n", (2, 8), "must be a list, not an object"),
        ("kind: List\nitems:\n- kind: A\n- 5\n", (4, 3), "must be an object, not a whole number"),
    ],
)
def test_what_cannot_be_used_is_refused_where_it_stands(
    text: str, place: tuple[int, int], message: str
) -> None:
    line, column, said = refusal(text)
    assert (line, column) == place
    assert message in said


def test_a_refusal_reads_like_a_compilers() -> None:
    with pytest.raises(UnusableInput, match=r'^policies/db\.yaml:2:1: duplicate key "a"$'):
        read_documents("a: 1\na: 2\n", "policies/db.yaml")


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
)


@pytest.mark.parametrize("text", [BOMB, "a: " + "[" * 100_000, "[" * 100_000, '{"a":' * 100_000])
def test_bombs_are_refused_at_once(text: str) -> None:
    assert refusal(text)


@pytest.mark.parametrize("opening", ["- ", "[", '{"a":'])
def test_the_depth_is_bounded_and_the_bound_is_generous(opening: str) -> None:
    def nested(depth: int) -> str:
        if opening == "- ":
            return "a:\n" + "".join(" " * (2 * level) + "-\n" for level in range(depth))
        closing = "]" if opening == "[" else "}"
        return (
            f'{{"a": {opening * depth}1{closing * depth}}}'
            if opening != "["
            else (f'{{"a": {"[" * depth}{"]" * depth}}}')
        )

    assert one(nested(DEEPEST - 10)).object["a"] is not None
    assert "nested more than" in refusal(nested(DEEPEST + 1))[2]


def test_a_file_that_is_too_large_is_refused() -> None:
    with pytest.raises(UnusableInput, match="larger than 32 MiB"):
        read_documents(" " * (MOST_BYTES + 1), "file")
    with pytest.raises(UnusableInput, match="larger than 32 MiB"):
        decode_text(b" " * (MOST_BYTES + 1), "file")


def test_too_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.wire.text.yaml_reader.MOST_VALUES", 1000)
    monkeypatch.setattr("app.wire.text.documents.MOST_VALUES", 1000)
    for text in ("a:\n" + "- 1\n" * 1000, json.dumps({"a": [1] * 1000}), '{"a": 1}' * 600):
        assert "more than 1,000 values" in refusal(text)[2] or "not valid YAML" in refusal(text)[2]
    assert one(json.dumps({"a": [1] * 900})).object


def test_text_is_decoded_as_utf8_and_the_bad_byte_is_located() -> None:
    assert decode_text("größer\n".encode(), "file") == "größer\n"
    with pytest.raises(UnusableInput) as caught:
        decode_text("a: ä\nb: ö".encode() + b"\xff", "file")
    assert (caught.value.line, caught.value.column) == (2, 5)
    assert "not valid UTF-8 at byte 11" in caught.value.message


@settings(max_examples=500)
@given(st.text(alphabet="ab:-[]{},&*!|>'\"#%@`?<~ \n\t0.1", max_size=40) | st.text(max_size=20))
def test_no_text_whatsoever_raises_anything_else(text: str) -> None:
    with suppress(UnusableInput):
        for document in read_documents(text, "file"):
            assert document.place("a.b[0].c") >= (1, 1)


@settings(max_examples=200)
@given(st.dictionaries(st.text(max_size=5), ANYTHING, max_size=5))
def test_json_objects_are_read_as_they_are(members: dict[str, object]) -> None:
    text = json.dumps({"kind": "X", "object": members})
    assert one(text).object["object"] == json.loads(text)["object"]
