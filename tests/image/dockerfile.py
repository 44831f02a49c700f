"""Reads a Dockerfile as far as ours goes; whatever else stands in one is refused, not guessed at."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_CONTINUED = re.compile(r"\\\n\s*")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True, slots=True)
class Run:
    """``RUN``: a command line for the shell, with what ENV said so far."""

    command: str
    folder: str
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Copy:
    """``COPY``: from the context, or from another stage, to a path."""

    sources: Sequence[str]
    target: str
    stage: str = ""


@dataclass(slots=True)
class Stage:
    """One ``FROM`` and what follows it."""

    base: str
    name: str
    steps: list[Run | Copy] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0:0"
    entry: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


class Unsupported(ValueError):  # noqa: N818 - reads as what it is
    """An instruction that this reader does not know; teach it, or the proof would prove something else."""


def read_dockerfile(path: Path, base_environment: Mapping[str, str]) -> list[Stage]:
    """Return the stages of the Dockerfile; ``base_environment`` is what their images begin with."""
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for instruction, rest in _instructions(path.read_text()):
        if instruction == "ARG":
            name, _, value = rest.partition("=")
            arguments[name] = value
        elif instruction == "FROM":
            base, _, name = _expanded(rest, arguments).partition(" AS ")
            stages.append(Stage(base, name or str(len(stages)), environment=dict(base_environment)))
        else:
            _take(stages[-1], instruction, rest)
    return stages


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in _CONTINUED.sub("", lines).splitlines():
        if line.strip():
            instruction, _, rest = line.strip().partition(" ")
            yield instruction.upper(), rest.strip()


def _take(stage: Stage, instruction: str, rest: str) -> None:
    match instruction:
        case "ENV":
            for pair in shlex.split(rest):
                name, _, value = pair.partition("=")
                stage.environment[name] = _expanded(value, stage.environment)
        case "WORKDIR":
            stage.folder = rest
        case "COPY":
            stage.steps.append(_copy(rest, stage.folder))
        case "RUN":
            stage.steps.append(Run(rest, stage.folder, dict(stage.environment)))
        case "USER":
            stage.user = rest
        case "ENTRYPOINT":
            stage.entry = tuple(json.loads(rest))
        case "CMD":
            stage.command = tuple(json.loads(rest))
        case "LABEL" | "EXPOSE":
            return
        case _:
            raise Unsupported(f"{instruction} {rest}")


def _copy(rest: str, folder: str) -> Copy:
    words = shlex.split(rest)
    flags = [word for word in words if word.startswith("--")]
    *sources, target = [word for word in words if not word.startswith("--")]
    stage = ""
    for flag in flags:
        if not flag.startswith("--from="):
            raise Unsupported(f"COPY {flag}")
        stage = flag.removeprefix("--from=")
    if not target.startswith("/"):
        target = f"{folder.rstrip('/')}/{target.removeprefix('./')}"
    return Copy(sources, target, stage)


def _expanded(text: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: values.get(found[1] or found[2], ""), text)


def in_context(root: Path) -> list[str]:
    """Return the names at the top of ``root`` that ``.dockerignore`` lets through.

    It must be of our form: everything is left out but names, and some names in folders.
    """
    lines = [line for line in (root / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    rest = [line for line in lines if not line.startswith("!")]
    if rest != ["*", "**/__pycache__"]:
        raise Unsupported(f".dockerignore: {rest}")
    return [line.removeprefix("!") for line in lines if line.startswith("!")]
