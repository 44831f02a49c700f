"""Where programs run and sockets are made: this machine's own network, or a network namespace of the tests.

A namespace is held open by a file descriptor of the test run and has no name. So there is nothing to clean
up: when the run ends, however it ends, its programs die with it and the kernel takes the namespace away.
While it runs, `nsenter --net=PATH` (the `path` of a namespace) looks inside.

Threads, not processes, are in a network namespace: `with host.entered():` moves the calling thread there, and
what it starts meanwhile (programs, threads, sockets) is there for good.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

_CLONE_NEWNET = 0x40000000
_OWN = "/proc/thread-self/ns/net"
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class NamespaceError(RuntimeError):
    """A network namespace could not be made or set up; the message has the kernel's or `ip`'s words."""


class Host:
    """This machine's own network."""

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Run the body where the sockets that it makes belong to this host."""
        yield


class NetworkNamespace(Host):
    """A network namespace: a host of its own, with nothing but a loopback interface at first."""

    def __init__(self) -> None:
        """Make one; raise NamespaceError where this user or system cannot."""
        reason = why_not()
        if reason is not None:
            raise NamespaceError(reason)
        before = os.open(_OWN, os.O_RDONLY)
        try:
            _call("unshare", _CLONE_NEWNET)
            try:
                self._descriptor = os.open(_OWN, os.O_RDONLY)
            finally:
                _call("setns", before, _CLONE_NEWNET)
        finally:
            os.close(before)
        self.ip("link set lo up")

    @property
    def path(self) -> str:
        """The file that names the namespace to `ip` and `nsenter`, as long as it is open."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Move the calling thread into the namespace and, after the body, back to where it was."""
        before = os.open(_OWN, os.O_RDONLY)
        try:
            _call("setns", self._descriptor, _CLONE_NEWNET)
            try:
                yield
            finally:
                _call("setns", before, _CLONE_NEWNET)
        finally:
            os.close(before)

    def stay(self) -> None:
        """Move the calling thread into the namespace for good."""
        _call("setns", self._descriptor, _CLONE_NEWNET)

    def ip(self, *commands: str) -> None:
        """Run `ip` commands (without the word `ip`) inside; raise NamespaceError for the first that fails."""
        with self.entered():
            done = subprocess.run(
                ["ip", "-batch", "-"], input="\n".join(commands), capture_output=True, text=True, check=False
            )
        if done.returncode != 0:
            message = f"ip: {done.stderr.strip()}\nThe commands were:\n" + "\n".join(commands)
            raise NamespaceError(message)

    def close(self) -> None:
        """Let go of the namespace; the kernel removes it when no program or socket is left in it."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        """Return the namespace itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def why_not() -> str | None:
    """Return why network namespaces with programs in them cannot be made here, or None if they can."""
    if _LIBC is None:
        return "network namespaces are Linux'"
    users = int(Path("/proc/self/uid_map").read_text().split()[2])
    if os.geteuid() != 0 or users == 1:  # root of a user namespace may not mount what containers need
        return "a cluster with Pods in network namespaces needs root"
    missing = [each for each in ("ip", "unshare", "setpriv") if shutil.which(each) is None]
    if missing:
        return f"{', '.join(missing)} not found: install iproute2 and util-linux"
    before = os.open(_OWN, os.O_RDONLY)
    try:
        _call("unshare", _CLONE_NEWNET)
        _call("setns", before, _CLONE_NEWNET)
    except NamespaceError as error:
        return str(error)
    finally:
        os.close(before)
    return None


def _call(function: str, *arguments: int) -> None:
    if _LIBC is None or getattr(_LIBC, function)(*arguments) != 0:
        raise NamespaceError(f"{function}: {os.strerror(ctypes.get_errno())}")
