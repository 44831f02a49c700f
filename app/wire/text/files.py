"""Files, folders and standard input, as the commands take manifests."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from app.errors import InputError
from app.wire.errors import UnusableInput
from app.wire.text.documents import MOST_BYTES, Document, decode_text, read_documents

STDIN = "<stdin>"
_ENDINGS = frozenset({".yaml", ".yml", ".json"})


@dataclass(frozen=True, slots=True)
class Manifests:
    """The text of one file with the documents in it; ``path`` is None for standard input."""

    origin: str
    text: str
    documents: tuple[Document, ...]
    path: Path | None = None

    def with_text(self, text: str) -> Manifests:
        """Return the same file with another text in it. Raises ``UnusableInput``."""
        return replace(self, text=text, documents=read_documents(text, self.origin))


def read_manifests(paths: Iterable[str]) -> tuple[Manifests, ...]:
    """Return all manifests in ``paths``: files, folders, or ``-`` for standard input.

    Raises ``InputError`` with everything that is unusable, one line for each.
    """
    found: list[Manifests] = []
    problems: list[str] = []
    files = {path and path.resolve(): path for path in _files(paths, problems)}
    for path in files.values():
        try:
            found.append(_read(path))
        except InputError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"{path}: {error.strerror or error}")
    if problems:
        raise InputError("", "\n".join(problems))
    return tuple(found)


def _files(paths: Iterable[str], problems: list[str]) -> Iterator[Path | None]:
    def report(error: OSError) -> None:
        problems.append(f"{error.filename}: {error.strerror}")

    for path in paths:
        if path == "-":
            yield None
        elif not Path(path).is_dir():
            yield Path(path)
        else:
            files = sorted(manifests_below(Path(path), report))
            if not files:
                problems.append(f"{path}: there is no .yaml, .yml or .json file in this folder")
            yield from files


def manifests_below(folder: Path, report: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """Yield the manifests below ``folder``; ``report`` hears of folders that cannot be read.

    Hidden names are left out: .git and .github hold none, and a mounted ConfigMap keeps its files in a hidden
    folder and links to them.
    """
    for parent, folders, names in os.walk(folder, onerror=report):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if Path(name).suffix.lower() in _ENDINGS and not name.startswith("."):
                yield Path(parent, name)


def _read(path: Path | None) -> Manifests:
    origin = STDIN if path is None else str(path)
    if path is None:
        data = sys.stdin.buffer.read(MOST_BYTES + 1)
    else:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    text = decode_text(data, origin)
    try:
        return Manifests(origin, text, read_documents(text, origin), path)
    except UnusableInput as error:
        if "{{" not in text:
            raise
        hint = "it looks like a template: render it first, e.g. helm template . | netpol-guard check -"
        raise InputError(error.path, f"{error.message} ({hint})") from None


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
