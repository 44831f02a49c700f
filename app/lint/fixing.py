"""Fixes of findings, written into the files that they are for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff

from app.engine.fix import Fix
from app.lint.findings import LintFinding, LintReport
from app.lint.rewrite import Mending, NotMended, mended
from app.wire.networkpolicy.json_patch import edit_words, patch_operations
from app.wire.text.documents import Document
from app.wire.text.files import Manifests

_MOST_ROUNDS = 20
"""One round mends what was found; what that opens up to be found is for the next one."""


@dataclass(frozen=True, slots=True)
class Mended:
    """The files with their fixes in them, what was done, and the findings that are left."""

    files: tuple[Manifests, ...]
    report: LintReport
    done: tuple[str, ...]
    problems: tuple[str, ...]


def mend(
    files: Sequence[Manifests], report: LintReport, judge: Callable[[Sequence[Manifests]], LintReport]
) -> Mended:
    """Return ``files`` with the fixes of all findings; ``judge`` says what is left after each round."""
    done: list[str] = []
    problems: dict[str, str] = {}
    for _ in range(_MOST_ROUNDS):
        rounds = [_mended_file(file, report.findings, problems) for file in files]
        said = [line for _, lines in rounds for line in lines]
        if not said:
            break
        done += said
        files = [file for file, _ in rounds]
        report = judge(files)
    return Mended(tuple(files), report, tuple(done), tuple(problems.values()))


def _mended_file(
    file: Manifests, findings: Sequence[LintFinding], problems: dict[str, str]
) -> tuple[Manifests, list[str]]:
    """Return the file after one round, and what was done to it; a file that resists is a problem."""
    fixes = {
        finding.document.steps: (finding.document, finding.fix)
        for finding in findings
        if finding.fix is not None and finding.origin == file.origin
    }
    if not fixes or file.origin in problems:
        return file, []
    mendings = [Mending(document, patch_operations(fix), fix.policy) for document, fix in fixes.values()]
    try:
        text = mended(file.text, mendings)
    except NotMended as error:
        problems[file.origin] = str(error)
        return file, []
    return file.with_text(text), [_words(document, fix) for document, fix in fixes.values()]


def _words(document: Document, fix: Fix) -> str:
    line, _ = document.place("metadata.name")
    edits = "; ".join(edit_words(edit) for edit in fix.edits)
    return f"{document.origin}:{line}: NetworkPolicy {fix.policy.name}: {edits}"


def differences(before: Sequence[Manifests], after: Sequence[Manifests]) -> Iterator[str]:
    """Yield the lines of a unified diff, as ``patch`` takes it."""
    for old, new in zip(before, after, strict=True):
        lines = [file.text.splitlines(keepends=True) for file in (old, new)]
        for line in unified_diff(lines[0], lines[1], old.origin, new.origin):
            yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
