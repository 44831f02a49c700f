"""Carries the steps of the Dockerfile out in a throw-away root, and looks at what comes of them.

``python -m tests.image.proof`` shows every step. What stands in for the base image is an overlay of this
machine in which `/usr/local` is a fresh virtual environment: a Python with pip and nothing else. Needs Linux,
root and the package index that pip is set up with.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.image.dockerfile import Copy, Run, Stage, in_context, read_dockerfile
from tests.kube.container import visible

ROOT = Path(__file__).resolve().parents[2]
BASE_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
_PASSED_ON = ("PIP_INDEX_URL", "PIP_CONFIG_FILE", "PIP_CERT", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy")
_PYTHON = "/opt/base-python"

_NEW_ROOT = """
mkdir -p $base/{name}/upper $base/{name}/work $base/{name}
export root=$base/{name}/root; mkdir $root
mount -t overlay -o lowerdir=/,upperdir=$base/{name}/upper,workdir=$base/{name}/work stage $root
for each in dev proc sys; do mount --rbind /$each $root/$each; done
for each in run tmp usr/local opt src wheels; do mkdir -p $root/$each; mount -t tmpfs stage $root/$each; done
chmod 1777 $root/tmp
(cd $root; {visible})
mkdir $root{python}; mount --bind {prefix} $root{python}
chroot $root {python}/bin/{executable} -m venv /usr/local
"""


@dataclass(frozen=True, slots=True)
class Check:
    """A command in the finished image, as its user, without a network, with /tmp alone to write to."""

    command: Sequence[str]


def why_not() -> str | None:
    """Return why the proof cannot be carried out here, None if it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "carrying the Dockerfile's steps out needs Linux and root"
    return None


def prove(checks: Sequence[Check]) -> subprocess.CompletedProcess[str]:
    """Carry out the Dockerfile and then the checks, one after the other until one fails; return the outcome.

    Standard output is that of the checks.
    """
    stages = read_dockerfile(ROOT / "Dockerfile", BASE_ENVIRONMENT)
    with tempfile.TemporaryDirectory(prefix="netpol-guard-image-") as folder:
        context, base = Path(folder) / "context", Path(folder) / "base"
        base.mkdir()
        context.mkdir()
        _fill(context)
        script = "\n".join(_script(stages, context, checks))
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", script]
        return subprocess.run(
            command, env={"base": str(base), **os.environ}, capture_output=True, text=True, check=False
        )


def _fill(context: Path) -> None:
    for name in in_context(ROOT):
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, context / name, symlinks=True, ignore=ignore)
        else:
            shutil.copy(ROOT / name, context / name)


def _script(stages: list[Stage], context: Path, checks: Sequence[Check]) -> Iterator[str]:
    yield "mount -t tmpfs -o mode=755 image $base"
    prefix, executable = shlex.quote(sys.base_prefix), Path(sys._base_executable).name  # type: ignore[attr-defined]
    # A Python may look for its library where it was installed.
    seen = "; ".join(visible(Path(sys.base_prefix)))
    for stage in stages:
        yield _NEW_ROOT.format(
            name=stage.name, python=_PYTHON, prefix=prefix, executable=executable, visible=seen
        )
        for step in stage.steps:
            yield _copied(step, context) if isinstance(step, Copy) else _ran(step)
    last = stages[-1]
    yield "mount -o remount,ro $root"
    yield from (f"mount -o remount,ro $root/{each}" for each in ("run", "usr/local", "opt", "src", "wheels"))
    for check in checks:
        yield f"echo {shlex.quote('==> ' + shlex.join(check.command))} >&2"
        yield f"unshare --net sh -c {shlex.quote(_checked(check, last))}"


def _copied(step: Copy, context: Path) -> str:
    source = f"$base/{step.stage}/root" if step.stage else shlex.quote(str(context))
    target = f"$root{shlex.quote(step.target)}"
    folder = step.target if step.target.endswith("/") else str(Path(step.target).parent)
    lines = [f"echo '==> COPY {' '.join(step.sources)} {step.target}' >&2", f"mkdir -p $root{folder}"]
    lines += [f"cp -a {source}/{shlex.quote(each.lstrip('/'))} {target}" for each in step.sources]
    return "\n".join(lines)


def _ran(step: Run) -> str:
    environment = {
        **step.environment,
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
    }
    shell = ["/bin/sh", "-euc", f"cd {step.folder} && {step.command}"]
    shown = f"echo '==> RUN' {shlex.quote(step.command)} >&2"
    return f"{shown}\nchroot $root {_env(environment)} {shlex.join(shell)} >&2"


def _checked(check: Check, stage: Stage) -> str:
    user, _, group = stage.user.partition(":")
    as_user = f"setpriv --reuid={user} --regid={group} --clear-groups --no-new-privs --bounding-set=-all"
    return f"ip link set lo up; chroot $root {as_user} {_env(stage.environment)} {shlex.join(check.command)}"


def _env(environment: dict[str, str]) -> str:
    return shlex.join(["env", "-i", *(f"{name}={value}" for name, value in environment.items())])


def main() -> int:
    """Show every step, and a last look: the version, and what the image weighs."""
    done = prove([Check(["netpol-guard", "--version"]), Check(["du", "-sh", "/opt/guard"])])
    print(done.stderr + done.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
