"""Files and folders of manifests, and what is said of those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import InputError
from app.wire.text.files import read_manifests
from tests.lint.policies import DENY


def refusal(*paths: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_manifests(map(str, paths))
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &a [x]\nb: *a\n", "1:4: anchor &a is not allowed here"),
        (f"{DENY}kind: Pod\n", '10:1: duplicate key "kind"'),
        ("spec:\n\tpodSelector: {}\n", "2:1: not valid YAML: a tab stands where YAML wants spaces"),
        ("[" * 300 + "]" * 300, "1:201: nested more than 200 levels deep"),
        ("just words\n", "1:1: must be an object, not a string"),
        (
            "metadata: {name: {{ .Values.name }}}\n",
            "it looks like a template: render it first, e.g. helm template . | netpol-guard check -",
        ),
    ],
)
def test_a_file_of_which_nothing_can_be_used_is_refused_with_the_place(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    assert said in refusal(tmp_path / "bad.yaml")


def test_text_that_is_no_utf_8_is_named_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: b\nname: caf\xe9\n")
    assert "latin.yaml:2:10: not valid UTF-8" in refusal(tmp_path)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.yaml").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    assert "larger than 32 MiB" in refusal(tmp_path)


def test_everything_unusable_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("a: *b\n")
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    assert refusal(tmp_path, tmp_path / "missing.yaml").splitlines() == [
        f"{tmp_path / 'bad.yaml'}:1:4: alias *b is not allowed here: write the value out",
        f"{tmp_path / 'gone.yaml'}: No such file or directory",
        f"{tmp_path / 'missing.yaml'}: No such file or directory",
    ]


def test_a_folder_without_manifests_is_unusable_and_hidden_folders_hold_none(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "deny.yaml").write_text(DENY)
    assert "there is no .yaml, .yml or .json file in this folder" in refusal(tmp_path)
