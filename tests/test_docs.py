"""What the documents name exists: links and files in the texts, and the texts in comments of the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.corpus.cases import RULES

ROOT = Path(__file__).resolve().parents[1]
DESIGN = ROOT / "docs" / "design"
FOLDERS = ("app", "certs", "deploy", "docs", "scripts", "tests")
TEXTS = sorted([*ROOT.glob("*.md"), *(path for name in FOLDERS for path in (ROOT / name).rglob("*.md"))])
SOURCES = sorted(
    path
    for pattern in ("*.py", "*.yaml", "*.go", "*.toml", "Makefile")
    for path in [*ROOT.glob(pattern), *(found for name in FOLDERS for found in (ROOT / name).rglob(pattern))]
)

LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[^`\s<>{{}}*]*)`")
MENTION = re.compile(r"docs/design/([\w-]+\.md)`*(?:, ([A-Z][^)\"]*))?")
TEXT_NAME = re.compile(r"[\w./-]+\.md\b")
RULE = re.compile(r"\brules? (\d+(?:(?:-|, | and )\d+)*)", re.IGNORECASE)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _headings(text: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", text.read_text(encoding="utf-8"), re.MULTILINE)


def _anchors(text: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of ``text``."""
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in _headings(text)}


def _prose(path: Path) -> str:
    """Return a source's text with its lines, and the marks of comments between them, joined."""
    return re.sub(r"\s*\n\s*(?:#+ |// )?", " ", path.read_text(encoding="utf-8"))


def _sections(words: str) -> Iterator[str]:
    """Yield what a comment names behind a file: ``Before and after; Special cases: Namespaces``."""
    yield from re.split(r"; |: ", words.split(". ", maxsplit=1)[0].rstrip(".` "))


@pytest.mark.parametrize("text", TEXTS, ids=_name)
def test_every_relative_link_leads_somewhere(text: Path) -> None:
    for link in LINK.findall(text.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (text.parent / file) if file else text
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


@pytest.mark.parametrize("text", TEXTS, ids=_name)
def test_every_file_and_folder_that_a_text_names_exists(text: Path) -> None:
    named = PATH.findall(text.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_page_of_the_design_stands_in_its_index() -> None:
    linked = LINK.findall((DESIGN / "README.md").read_text(encoding="utf-8"))
    assert sorted(linked) == sorted(page.name for page in DESIGN.glob("*.md") if page.name != "README.md")


def test_comments_name_pages_and_sections_of_the_design_that_exist() -> None:
    wrong, found = [], 0
    for source in SOURCES:
        if source == Path(__file__):
            continue
        for page, words in MENTION.findall(_prose(source)):
            found += 1
            headings = _headings(DESIGN / page) if (DESIGN / page).exists() else None
            if headings is None:
                wrong.append(f"{_name(source)}: {page}")
            elif words:
                missing = [section for section in _sections(words) if not section.startswith(tuple(headings))]
                # In small letters, a sentence goes on.
                wrong += [
                    f"{_name(source)}: {page}, {section}" for section in missing if section[0].isupper()
                ]
    assert wrong == []
    assert found > 30


def test_every_text_that_a_comment_names_is_in_the_repository() -> None:
    wrong = [
        f"{_name(source)}: {name}"
        for source in SOURCES
        if source != Path(__file__)
        for name in TEXT_NAME.findall(source.read_text(encoding="utf-8"))
        if not any((folder / name).exists() for folder in (ROOT, source.parent))
    ]
    assert wrong == []


def test_the_rules_are_numbered_as_the_corpus_counts_them() -> None:
    text = (DESIGN / "semantics.md").read_text(encoding="utf-8")
    assert tuple(int(number) for number in re.findall(r"^(\d+)\. ", text, re.MULTILINE)) == RULES


def test_every_rule_that_is_named_by_its_number_exists() -> None:
    texts = [*TEXTS, *SOURCES]
    wrong = [
        f"{_name(path)}: rule {number}"
        for path in texts
        for numbers in RULE.findall(_prose(path))
        for number in re.findall(r"\d+", numbers)
        if int(number) not in RULES
    ]
    assert wrong == []
