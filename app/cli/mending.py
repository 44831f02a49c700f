"""Fixes of findings, written into the files that they are for."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

from app.admission.patches import edit_words, patch_operations
from app.errors import InputError
from app.wire.mend import Mending, NotMended, mended

if TYPE_CHECKING:
    from app.audit.findings import Finding, Report
    from app.cli.inputs import Manifests
    from app.engine.fix import Fix
    from app.wire.manifests import Document

_MOST_ROUNDS = 20
"""One round mends what was found; what that opens up to be found is for the next one."""


@dataclass(frozen=True, slots=True)
class Mended:
    """The files with their fixes in them, what was done, and the findings that are left."""

    files: tuple[Manifests, ...]
    report: Report
    done: tuple[str, ...]
    problems: tuple[str, ...]


def mend(
    files: Sequence[Manifests], report: Report, judge: Callable[[Sequence[Manifests]], Report]
) -> Mended:
    """Return ``files`` with the fixes of all findings; ``judge`` says what is left after each round."""
    done: list[str] = []
    problems: dict[str, str] = {}
    for _ in range(_MOST_ROUNDS):
        rounds = [_mended_file(one, report.findings, problems) for one in files]
        said = [line for _, lines in rounds for line in lines]
        if not said:
            break
        done += said
        files = [file for file, _ in rounds]
        report = judge(files)
    return Mended(tuple(files), report, tuple(done), tuple(problems.values()))


def _mended_file(
    file: Manifests, findings: Sequence[Finding], problems: dict[str, str]
) -> tuple[Manifests, list[str]]:
    """Return the file after one round, and what was done to it; a file that resists is a problem."""
    fixes = {
        one.document.steps: (one.document, one.fix)
        for one in findings
        if one.fix is not None and one.origin == file.origin
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
    edits = "; ".join(edit_words(one) for one in fix.edits)
    return f"{document.origin}:{line}: NetworkPolicy {fix.policy.name}: {edits}"


def differences(before: Sequence[Manifests], after: Sequence[Manifests]) -> Iterator[str]:
    """Yield the lines of a unified diff, as ``patch`` takes it."""
    for old, new in zip(before, after, strict=True):
        lines = [one.text.splitlines(keepends=True) for one in (old, new)]
        for line in unified_diff(lines[0], lines[1], old.origin, new.origin):
            yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def write(before: Sequence[Manifests], after: Sequence[Manifests]) -> None:
    """Write the files that are different now; each is replaced as a whole, or not at all.

    Raises ``InputError`` where one cannot be written, or was changed by somebody else meanwhile.
    """
    for old, new in zip(before, after, strict=True):
        if new.path is not None and new.text != old.text:
            try:
                _replace(new.path.resolve(), old.text.encode(), new.text.encode())
            except OSError as error:
                raise InputError(str(new.path), f"cannot be written: {error.strerror or error}") from error


def _replace(path: Path, old: bytes, new: bytes) -> None:
    """Replace a file, keeping its mode and, where that is permitted, its owner."""
    if path.read_bytes() != old:
        raise InputError(str(path), "was changed by somebody else meanwhile; nothing was written there")
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(new)
        shutil.copymode(path, name)
        told = path.stat()
        with suppress(PermissionError):
            os.chown(name, told.st_uid, told.st_gid)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
