"""Child processes of a test run: started with their output in a file, watched, and never left behind."""

from __future__ import annotations

import ctypes
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.kube.hosts import Host

_PR_SET_PDEATHSIG = 1
_TAIL_LINES = 25
_POLL_SECONDS = 0.05
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ProcessError(RuntimeError):
    """A program ended too early or did not become ready; the message has the end of what it wrote."""


class Process:
    """A running program whose standard output and error go to one file.

    It is in a session of its own: Ctrl-C reaches the test run alone, which then stops its programs in the
    right order. On Linux the kernel kills the program when the thread that started it ends without doing so.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
        *,
        host: Host | None = None,
    ) -> None:
        """Start the command, on this machine's own network and in the caller's environment unless told."""
        self.name = Path(command[0]).name
        self.log = log
        parent = os.getpid()
        with log.open("ab") as output, (host or Host()).entered():
            self._popen = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                preexec_fn=lambda: _die_with(parent),  # noqa: PLW1509 - it takes no lock a thread could hold
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code once the program has ended (that a signal ended it: minus its number), else None."""
        return self._popen.poll()

    def is_running(self) -> bool:
        """Whether the program has not ended yet."""
        return self._popen.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal; a program that has ended does not mind."""
        self._popen.send_signal(number)

    def tail(self) -> str:
        """Return the last lines of the program's output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])

    def wait_until(self, is_ready: Callable[[], bool], seconds: float) -> None:
        """Wait until the program is ready; raise ProcessError if it ends before that or takes longer."""
        deadline = time.monotonic() + seconds
        while not is_ready():
            if not self.is_running():
                how = f"{self.name} ended with exit code {self._popen.returncode}"
                message = f"{how}. Its last lines:\n{self.tail()}"
                raise ProcessError(message)
            if time.monotonic() > deadline:
                message = f"{self.name} was not ready within {seconds:.0f} s. Its last lines:\n{self.tail()}"
                raise ProcessError(message)
            time.sleep(_POLL_SECONDS)

    def stop(self, seconds: float = 15.0) -> None:
        """Ask the program to end, wait, and kill it if it does not; return only when it is gone."""
        if self.is_running():
            self._popen.terminate()
        try:
            self._popen.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Have the program stand still during the body; it holds its connections, but answers nothing."""
        self.send(signal.SIGSTOP)
        try:
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)  # it takes a moment
            yield
        finally:
            self.send(signal.SIGCONT)

    def kill(self) -> None:
        """Kill the program and what it started, and return when it is gone."""
        with suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()


def own_loopback() -> str:
    """Return a loopback address that nobody else uses: what is free on it now is so when a program comes.

    Linux has a whole network of them, where connections begin at 127.0.0.1; other systems have just that one.
    """
    if sys.platform != "linux":
        return "127.0.0.1"
    return f"127.{64 + secrets.randbelow(128)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"


def free_ports(count: int, address: str) -> list[int]:
    """Return that many different TCP ports that are free on the address right now."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # All are held until the last is known, or the kernel could give the same one twice.
    sockets = [socket.socket(family) for _ in range(count)]
    try:
        for each in sockets:
            each.bind((address, 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _die_with(parent: int) -> None:
    """Have the kernel kill this child when the test run is gone, however it went."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it went before the kernel knew
            os._exit(1)
