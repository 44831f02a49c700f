"""The long tests, part by part: ``make soak``, or some of it: ``make soak SOAK_ARGS="flows brute --seed 2"``.

A part is cut into slices, each with a seed of its own, and as many run at a time as there are cores. What
passed is remembered in ``.soak/`` with its commit, size and seed. So a run that was interrupted goes on where
it was, and one after another commit begins anew. What a slice prints is there, too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".soak"
_TAIL_LINES = 15

Command = Callable[[int, int], list[str]]
"""Makes a command line of how much, and a seed."""


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of long test: how much, in how many slices, by which command; its twin is in `make test`."""

    name: str
    size: int
    slices: int
    command: Command
    twin: str


def _module(*words: str) -> Command:
    return lambda size, seed: [sys.executable, "-m", *words, str(size), str(seed)]


def _pytest(path: str, variable: str) -> Command:
    """Run tests whose size is a variable of the environment; the seed is that of their order."""
    run = (sys.executable, "-m", "pytest", "-q", path)
    return lambda size, seed: ["env", f"{variable}={size}", *run, f"--random-order-seed={seed}"]


def _ledger(*options: str) -> Command:
    """Run the simulation of the ledger; each slice has seeds of its own."""
    run = (sys.executable, "-m", "tests.admission.ledger")
    return lambda size, seed: [*run, str(size), "--seed", str(seed * size), *options]


def _suite(size: int, seed: int) -> list[str]:
    """Run everything that often, in random order, with all cores kept busy and a writer in each cluster."""
    run = f"make test PYTEST_ARGS=--random-order-seed={seed}"
    again = f"for each in $(seq {size}); do {run} || exit 1; done"
    return ["env", "TESTS_SPIN=1", "TESTS_WRITER=1", "sh", "-c", again]


def _sequences(*options: str) -> Command:
    """Run sequences of single changes; each slice has seeds of its own."""
    run = (sys.executable, "-m", "tests.admission.sequences")
    return lambda size, seed: [*run, str(size), str(seed * size), *options]


AGREEMENT = "tests.engine.agreement"
ENGINE, ANSWERS = "tests/engine/test_agreement.py", "tests/admission/test_fixes.py"
SIMULATION = "tests/admission/ledger/test_simulation.py"
SEQUENCES = "tests/admission/sequences/test_sequences.py"
MEETINGS = "tests/integration/test_ledger.py"
USUAL = "test_changes_that_meet_no_other_in_namespaces_with_both_baselines_are_neither_refused_nor_read_for"
REPLICAS = "tests/integration/test_replicas.py"
ROTATION = "tests/integration/incluster/test_rotation.py"
VERSIONS = "tests/kube/test_binaries.py"
OTHER_VERSIONS = ("v1.36.3", "v1.35.4", "v1.34.4")
PARTS = (
    Part("flows", 1_000_000, 10, _module(AGREEMENT, "flows"), ENGINE),
    Part("cyclonus", 200_000, 10, _module(AGREEMENT, "cyclonus"), ENGINE),
    Part("brute", 100_000, 20, _module(AGREEMENT, "brute"), ENGINE),
    Part("verdicts", 100_000, 20, _module(AGREEMENT, "verdicts"), ENGINE),
    Part("reviews", 100_000, 20, _module(AGREEMENT, "reviews"), ANSWERS),
    Part("labels", 100_000, 20, _module(AGREEMENT, "labels"), ANSWERS),
    Part("fixes", 100_000, 20, _module(AGREEMENT, "fixes"), ANSWERS),
    Part("no-effect", 100_000, 20, _module(AGREEMENT, "no-effect"), "tests/engine/test_effects.py"),
    Part("fuzz-reviews", 100_000, 10, _module("tests.fuzz.reviews"), "tests/fuzz/test_reviews.py"),
    Part("fuzz-sockets", 100_000, 10, _module("tests.fuzz.sockets"), "tests/fuzz/test_sockets.py"),
    Part("ledger", 500_000, 20, _ledger(), SIMULATION),
    Part("ledger-three", 500_000, 20, _ledger("--replicas", "3"), SIMULATION),
    Part("ledger-engine", 10_000, 10, _ledger("--engine", "--replicas", "3"), SIMULATION),
    Part("sequences", 100_000, 20, _sequences(), SEQUENCES),
    Part("sequences-lists", 100_000, 20, _sequences("--lists"), SEQUENCES),
    Part("meetings", 1_000, 4, _pytest(MEETINGS, "LEDGER_TRIALS"), MEETINGS),
    Part("ways", 10_000, 1, _pytest(f"{MEETINGS}::{USUAL}", "LEDGER_CHANGES"), MEETINGS),
    Part("deletions", 1_000, 4, _pytest(REPLICAS, "DELETION_TRIALS"), REPLICAS),
    Part("rotation", 90, 1, _pytest(ROTATION, "ROTATION_LAG_SECONDS"), ROTATION),
    Part("suite", 5, 5, _suite, "tests/test_soak.py"),
    *(Part(version, 1, 1, _module("tests.kube.versions", version), VERSIONS) for version in OTHER_VERSIONS),
)


@dataclass(frozen=True, slots=True)
class Slice:
    """A piece of a part: how much of it, and its seed."""

    part: Part
    size: int
    seed: int

    @property
    def key(self) -> str:
        """What it is remembered by, beside the commit."""
        return f"{self.part.name} {self.size} {self.seed}"


def slices_of(part: Part, size: int, seed: int) -> list[Slice]:
    """Return the slices that are `size` together; the next seed's slices have seeds of their own."""
    count = min(part.slices, size)
    sizes = [size // count + (number < size % count) for number in range(count)]
    return [Slice(part, each, 1_000 * seed + number) for number, each in enumerate(sizes)]


class Memory:
    """What passed at a commit, kept in a file; nothing is kept of a checkout with changes of its own."""

    def __init__(self, folder: Path, commit: str) -> None:
        """Read what is known."""
        self._file = folder / "passed.json"
        self._commit = commit
        self._lock = Lock()
        self._known: dict[str, dict[str, float]] = {}
        if self._file.exists():
            self._known = json.loads(self._file.read_text())

    def has(self, piece: Slice) -> bool:
        """Tell whether the slice passed at this commit."""
        return piece.key in self._known.get(self._commit, {})

    def keep(self, piece: Slice, seconds: float) -> None:
        """Remember that it passed, and how long it took."""
        if self._commit.endswith("-dirty"):
            return
        with self._lock:
            self._known.setdefault(self._commit, {})[piece.key] = round(seconds, 1)
            fresh = self._file.with_suffix(".new")
            fresh.write_text(json.dumps(self._known, indent=1))
            fresh.replace(self._file)


@dataclass(frozen=True, slots=True)
class Soak:
    """One run: its slices, where they write to, and what passed before."""

    pieces: Sequence[Slice]
    folder: Path
    memory: Memory

    def run(self, jobs: int) -> int:
        """Run what has not passed yet; return how many slices failed."""
        left = [piece for piece in self.pieces if not self.memory.has(piece)]
        print(f"{len(self.pieces)} slices, {len(self.pieces) - len(left)} of them passed before", flush=True)
        with ThreadPoolExecutor(jobs) as threads:
            passed = list(threads.map(self._run, left))
        return passed.count(False)

    def _run(self, piece: Slice) -> bool:
        log = self.folder / f"{piece.part.name}-{piece.seed}.log"
        began = time.monotonic()
        with log.open("w") as output:
            command = piece.part.command(piece.size, piece.seed)
            code = subprocess.run(command, cwd=ROOT, stdout=output, stderr=output, check=False).returncode
        seconds = time.monotonic() - began
        if code == 0:
            self.memory.keep(piece, seconds)
        self._tell(piece, seconds, "passed" if code == 0 else f"FAILED with exit code {code}, see {log}")
        if code:
            print("\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]), flush=True)
        return code == 0

    def _tell(self, piece: Slice, seconds: float, how: str) -> None:
        of_part = [each for each in self.pieces if each.part is piece.part]
        done = sum(each.size for each in of_part if each is piece or self.memory.has(each))
        size = sum(each.size for each in of_part)
        shown = f"{piece.part.name:<14}{done:>11,} of {size:>9,}"
        print(f"{time.strftime('%H:%M:%S')} {shown}  seed {piece.seed}: {seconds:.0f} s, {how}", flush=True)


def commit() -> str:
    """Return the commit that is checked out, with `-dirty` where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def chosen(words: Iterable[str], seed: int) -> list[Slice]:
    """Return the slices of the parts that are named, ``NAME`` or ``NAME=SIZE``; of all where none is."""
    known = {part.name: part for part in PARTS}
    pieces: list[Slice] = []
    for word in list(words) or list(known):
        name, _, size = word.partition("=")
        if name not in known:
            raise SystemExit(f"no part {name}; there are {', '.join(known)}")
        pieces += slices_of(known[name], int(size) if size else known[name].size, seed)
    return pieces


def main() -> int:
    """Run what the command line says; return 1 where anything failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help="NAME or NAME=SIZE; all of them by default")
    parser.add_argument("--seed", type=int, default=1, help="another one is another run (default: 1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many slices at a time")
    parser.add_argument("--list", action="store_true", help="show the parts and their sizes")
    given = parser.parse_args()
    if given.list:
        print("\n".join(f"{part.name:<14}{part.size:>11,}  twin: {part.twin}" for part in PARTS))
        return 0
    FOLDER.mkdir(exist_ok=True)
    failed = Soak(chosen(given.parts, given.seed), FOLDER, Memory(FOLDER, commit())).run(given.jobs)
    print(f"{failed} slices failed" if failed else "all passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
