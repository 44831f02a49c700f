"""The house stays easy to find one's way in: small folders, and each says what lives there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = sorted(path.parent for path in (ROOT / "app").rglob("__init__.py"))
MOST_FILES = 17


def _name(package: Path) -> str:
    return str(package.relative_to(ROOT))


def test_every_folder_with_code_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / "app").rglob("*.py")}
    assert folders == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES, ids=_name)
def test_a_folder_holds_no_more_files_than_one_can_overlook(package: Path) -> None:
    assert len(list(package.glob("*.py"))) <= MOST_FILES


@pytest.mark.parametrize("package", PACKAGES, ids=_name)
def test_a_package_says_in_one_sentence_what_lives_there_and_what_never_does(package: Path) -> None:
    words = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8")))
    assert words is not None
    assert re.fullmatch(r"[^\n]+?; (?:.* )?never [^\n]+\.", words), words
    assert len(re.findall(r"[.!?](?:\s|$)", words)) == 1, words
