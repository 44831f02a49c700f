"""Settings from a YAML file and the environment: variables win over the file, the file over defaults.

`NETPOL_GUARD_LISTEN__PORT` is `listen.port`: words in upper case, `__` between a section and its key. Lists
are written with commas or as JSON. Nothing unknown is passed over: a misspelt key would otherwise quietly
leave a guard in its default.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.errors import SettingsError
from app.settings.model import Settings

PREFIX = "NETPOL_GUARD_"
FILE_VARIABLE = "NETPOL_GUARD_CONFIG"
"""Names the settings' file where no other way does."""

# Kubernetes puts the addresses of Services into every container's environment, and a Service that is called
# netpol-guard makes names that look like settings.
_SERVICE_LINK = re.compile(
    r"(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)

Key = tuple[str, ...]
KeyPath = tuple[str | int, ...]


@dataclass(slots=True)
class _Draft:
    """Values that are not validated yet, and where each of them was written."""

    values: dict[str, object] = field(default_factory=dict)
    places: dict[KeyPath, str] = field(default_factory=dict)

    def put(self, path: Key, value: object, place: str) -> None:
        """Write a value over whatever stands there; what was below it is gone."""
        section = self.values
        for key in path[:-1]:
            below = section.get(key)
            if not isinstance(below, dict):
                below = section[key] = {}
            section = below
        section[path[-1]] = value
        above = {key: known for key, known in self.places.items() if key[: len(path)] != path}
        self.places = {**above, path: place}

    def place_of(self, path: KeyPath) -> str:
        """Return where the value, or else the nearest section around it, was written."""
        around = (path[:length] for length in range(len(path), -1, -1))
        return next((self.places[key] for key in around if key in self.places), "")


def load(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of the file at ``path`` (none: defaults) under those of the ``environment``.

    Without a ``path``, `NETPOL_GUARD_CONFIG` may name the file. Raises ``SettingsError`` with one sentence
    for everything that is wrong, each naming the key and where it was written.
    """
    if path is None and environment.get(FILE_VARIABLE):
        path = Path(environment[FILE_VARIABLE])
    return _validated(_Draft() if path is None else _from_file(path), environment)


def load_text(text: str, name: str) -> Settings:
    """Return the settings that ``text`` holds, without any environment; ``name`` is where it is from.

    Raises as ``load``.
    """
    return _validated(_from_text(text, Path(name)), {})


def _validated(draft: _Draft, environment: Mapping[str, str]) -> Settings:
    problems = list(_take_environment(draft, environment))
    try:
        settings = Settings.model_validate(draft.values, by_alias=True, by_name=False)
    except ValidationError as error:
        problems += [_sentence(draft, detail) for detail in error.errors()]
    else:
        if not problems:
            return settings
    raise SettingsError(*problems)


def _from_file(path: Path) -> _Draft:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8 text") from error
    return _from_text(text, path)


def _from_text(text: str, path: Path) -> _Draft:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return _Draft()
        places = {key: f"{path}:{line}" for key, line in _lines(node, (), path, set())}
        values = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SettingsError(f"{path}{line}: is not YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise SettingsError(f"{path}: is not YAML: {error}") from error
    finally:
        loader.dispose()
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: must hold keys and values at its top, such as `mode: enforce`")
    return _Draft(values, places)


def _lines(node: yaml.Node, path: KeyPath, file: Path, passed: set[int]) -> Iterator[tuple[KeyPath, int]]:
    """Yield the line of every key below ``node``; a key that stands twice is an error, as is an alias.

    What an alias stands for may contain itself, and nobody needs one in a settings' file. ``passed`` are the
    nodes before this one.
    """
    line = node.start_mark.line + 1
    if id(node) in passed:
        raise SettingsError(f"{file}:{line}: anchors and aliases are not taken here; write the value out")
    passed.add(id(node))
    yield path, line
    if isinstance(node, yaml.MappingNode):
        keys: set[object] = set()
        for key, value in node.value:
            word, line = key.value if isinstance(key, yaml.ScalarNode) else "", key.start_mark.line + 1
            if word in keys:
                raise SettingsError(f"{file}:{line}: {word}: stands here a second time")
            keys.add(word)
            yield from _lines(value, (*path, word), file, passed)
            yield (*path, word), line
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _lines(value, (*path, index), file, passed)


def _is_section(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _variables(model: type[BaseModel], words: str, path: Key) -> Iterator[tuple[str, Key, object]]:
    """Yield name, key and type of every variable there is for the fields of ``model``."""
    for name, info in model.model_fields.items():
        word, inside, kind = words + name.upper(), (*path, info.alias or name), info.annotation
        if _is_section(kind):
            yield from _variables(kind, word + "__", inside)
        else:
            yield word, inside, kind


_KNOWN = {word: (path, kind) for word, path, kind in _variables(Settings, PREFIX, ())}


def _take_environment(draft: _Draft, environment: Mapping[str, str]) -> Iterator[str]:
    """Write the variables over the file's values; yield a sentence for each that there is no setting for."""
    for name in sorted(environment):
        if not name.startswith(PREFIX) or name == FILE_VARIABLE:
            continue
        if name in _KNOWN:
            path, kind = _KNOWN[name]
            draft.put(path, _value(environment[name], kind), f"variable {name}")
        elif not _SERVICE_LINK.fullmatch(name.removeprefix(PREFIX)):
            yield f"variable {name}: is no setting{_nearest(name, _KNOWN)}"


def _value(text: str, kind: object) -> object:
    if get_origin(kind) is not tuple:
        return text or None
    if not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    with suppress(yaml.YAMLError):
        return yaml.safe_load(text)
    return text


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, [*known], n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _sentence(draft: _Draft, detail: ErrorDetails) -> str:
    """Return what is wrong in one sentence: place, key, and what was expected instead of what."""
    path = tuple(part for part in detail["loc"] if part != "[key]")
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    return ": ".join(part for part in (draft.place_of(path), key, _problem(path, detail)) if part)


def _problem(path: KeyPath, detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        return f"is no setting{_nearest(str(path[-1]), _keys_at(path[:-1]))}"
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"]) + _given(detail["input"])
    words = detail["msg"].replace("Input should be", "must be").replace("a valid ", "a ")
    if detail["type"] in ("model_type", "model_attributes_type"):
        words = "must be a section of keys and values"
    return words[:1].lower() + words[1:] + _given(detail["input"])


def _given(value: object) -> str:
    if value is None:
        return ", not empty"
    return f", not {value!r}" if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _keys_at(path: KeyPath) -> list[str]:
    """Return the keys of the section at ``path``."""
    kind: object = Settings
    for part in path:
        if _is_section(kind):
            kind = {info.alias: info.annotation for info in kind.model_fields.values()}.get(str(part))
        else:  # a list's item
            kind = next(iter(get_args(kind)), None)
    return [info.alias or name for name, info in kind.model_fields.items()] if _is_section(kind) else []
