"""Start a program as a container runtime would: its own network and mounts, the Pod's user, no capabilities.

There is no image. The container's root is a throw-away overlay of this machine's, in which the checkout and
the Python that runs the tests are found where they always are; what the program writes there is gone with it,
and with `readOnlyRootFilesystem` it cannot write at all. No mount is seen outside the container.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kube.hosts import NetworkNamespace
from tests.kube.processes import Process

CHECKOUT = Path(__file__).resolve().parents[2]
_SCRIPT = """
set -e
base={base}
mount -t tmpfs -o mode=755 container "$base"
mkdir "$base/upper" "$base/work" "$base/root"
mount -t overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" container "$base/root"
cd "$base/root"
for each in dev proc sys; do mount --rbind "/$each" "$each"; done
mount -t tmpfs -o mode=755 container run
{steps}
hostname {hostname}
exec chroot . /bin/sh -c 'cd / && exec "$@"' sh {command}
"""


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder of this machine that the container sees at a path of its own."""

    source: Path
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What a container runtime is told."""

    name: str
    hostname: str
    command: Sequence[str]
    environment: Mapping[str, str]
    mounts: Sequence[Mount]
    security: Mapping[str, Any]
    """The Pod's `securityContext` with the container's over it."""


def start(spec: ContainerSpec, folder: Path, namespace: NetworkNamespace) -> Process:
    """Start the container; its output goes to `<name>.log` in the folder, one run after the other."""
    base = folder / f"{spec.name}.root"
    base.mkdir(exist_ok=True)
    script = _SCRIPT.format(
        base=shlex.quote(str(base)),
        steps="\n".join(_steps(spec)),
        hostname=shlex.quote(spec.hostname),
        command=shlex.join([*_as_user(spec.security), *spec.command]),
    )
    command = ["unshare", "--mount", "--uts", "--propagation", "private", "sh", "-c", script]
    return Process(command, folder / f"{spec.name}.log", _environment(spec), host=namespace)


def _steps(spec: ContainerSpec) -> list[str]:
    """Return the commands that make the container's root what the Pod asks for."""
    steps = [line for path in (CHECKOUT, Path(sys.prefix), Path(sys.base_prefix)) for line in visible(path)]
    for mount in spec.mounts:
        # `/var/run` is a link to `/run`, which outside the container would lead outside.
        target = shlex.quote(os.path.realpath(mount.target).lstrip("/"))
        steps.append(f"mkdir -p {target}")
        steps.append(f"mount --bind {shlex.quote(str(mount.source))} {target}")
        if mount.read_only:
            steps.append(f"mount -o remount,bind,ro {target}")
    if spec.security.get("readOnlyRootFilesystem"):
        steps.append("mount -o remount,ro .")
    return steps


def visible(path: Path) -> Iterator[str]:
    """Let every user reach a folder of this machine: an image would have its files elsewhere."""
    inside = shlex.quote(str(path).lstrip("/"))
    if path.stat().st_dev != Path("/").stat().st_dev:  # the overlay has the root file system alone
        yield f"mkdir -p {inside}"
        yield f"mount --bind {shlex.quote(str(path))} {inside}"
    above = [shlex.quote(str(each).lstrip("/")) for each in path.parents if str(each) != "/"]
    if above:
        yield f"chmod a+rx {' '.join(above)}"


def _as_user(security: Mapping[str, Any]) -> list[str]:
    user, group = security.get("runAsUser", 0), security.get("runAsGroup", 0)
    groups = [
        str(each) for each in (security.get("fsGroup"), *security.get("supplementalGroups", ())) if each
    ]
    return [
        "setpriv",
        f"--reuid={user}",
        f"--regid={group}",
        f"--groups={','.join(groups)}" if groups else "--clear-groups",
        # A change of user would make the kernel forget that the program dies with the test run.
        "--pdeathsig=KILL",
        *(["--no-new-privs"] if security.get("allowPrivilegeEscalation") is False else []),
        *(["--bounding-set=-all"] if security.get("capabilities", {}).get("drop") == ["ALL"] else []),
    ]


def _environment(spec: ContainerSpec) -> dict[str, str]:
    return {
        "PATH": f"{sys.prefix}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/",
        "HOSTNAME": spec.hostname,
        **spec.environment,
    }
