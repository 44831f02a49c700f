"""Reading JSON values of which anything may be wrong, and keeping what was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TypeVar

from app.wire.errors import FieldError, invalid, type_name, wrong_type

T = TypeVar("T")


class Validation(Enum):
    """How strictly an object is judged."""

    STORED = "stored"
    """It came from an API server: what that let through is never an error here (rule 25)."""
    NEW = "new"
    """A manifest that nobody accepted yet: every rule of the newest API server holds (rules 22-28)."""


class Findings:
    """Collects the errors of one object while it is read.

    The readers settle absent, null and empty at once (rule 28): all three come back as the empty value. They
    return None only for a value of the wrong type, which is an error and understood by nobody.
    """

    def __init__(self, validation: Validation) -> None:
        """Start without errors."""
        self.is_new = validation is Validation.NEW
        self.errors: list[FieldError] = []

    def add(self, error: FieldError) -> None:
        """Keep ``error``."""
        self.errors.append(error)

    def complain(self, path: str, value: object, complaints: Iterable[str]) -> None:
        """Keep an ``Invalid value`` error for each of ``complaints``."""
        self.errors.extend(invalid(path, value, complaint) for complaint in complaints)

    def _read(self, value: object, path: str, empty: T) -> T | None:
        """Return ``value`` if it is of the type of ``empty``, which null stands for."""
        if value is None:
            return empty
        if isinstance(value, type(empty)):
            return value
        self.errors.append(wrong_type(path, value, type_name(empty)))
        return None

    def mapping(self, value: object, path: str) -> Mapping[str, object] | None:
        """Return the members of an object."""
        return self._read(value, path, dict[str, object]())

    def items(self, value: object, path: str) -> list[object] | None:
        """Return the items of a list."""
        return self._read(value, path, list[object]())

    def text(self, value: object, path: str) -> str | None:
        """Return a string."""
        return self._read(value, path, "")

    def texts(self, value: object, path: str) -> list[str] | None:
        """Return a list of strings; one item of another type spoils the list."""
        items = self.items(value, path)
        if items is None:
            return None
        read = [self.text(item, f"{path}[{index}]") for index, item in enumerate(items)]
        kept = [text for text in read if text is not None]
        return kept if len(kept) == len(read) else None

    def text_map(self, value: object, path: str) -> dict[str, str] | None:
        """Return an object whose members are strings; one member of another type spoils it."""
        members = self.mapping(value, path)
        if members is None:
            return None
        read = {str(key): self.text(member, f"{path}[{key}]") for key, member in members.items()}
        kept = {key: text for key, text in read.items() if text is not None}
        return kept if len(kept) == len(read) else None
