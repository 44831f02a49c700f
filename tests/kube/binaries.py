"""Where the programs of the tests are: found on this machine, else built once into the user's cache.

Kubernetes' programs are looked for in `KUBEBUILDER_ASSETS` (what `setup-envtest` prints), then in
`/usr/local/kubebuilder/bin`, then in the cache; what is missing everywhere is built there. `python -m
tests.kube.binaries` builds everything ahead of a test run and prints where it is.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from enum import StrEnum
from pathlib import Path

from tests.kube.building import Build, BuildError, build

KUBERNETES_VERSION = "v1.37.2"
TOOLS = Path(__file__).resolve().parent.parent / "tools"
KUBEBUILDER_BIN = Path("/usr/local/kubebuilder/bin")

_STRIPPED = "-s -w"
_DIGEST_LENGTH = 12


class Program(StrEnum):
    """A program that the tests run; the value is the name of its file."""

    ETCD = "etcd"
    KUBE_APISERVER = "kube-apiserver"
    KUBE_CONTROLLER_MANAGER = "kube-controller-manager"
    KUBECTL = "kubectl"
    CYCLONUS = "cyclonus"
    HOOKBENCH = "hookbench"
    LOADGEN = "loadgen"

    @property
    def module(self) -> str:
        """The folder under `tests/tools` with the Go module that builds the program."""
        match self:
            case Program.CYCLONUS:
                return "cyclonus"
            case Program.HOOKBENCH | Program.LOADGEN:
                return "hookbench"
            case _:
                return "kubernetes"

    @property
    def is_kubernetes(self) -> bool:
        """Whether an installation of Kubernetes' own test programs may have it."""
        return self.module == "kubernetes"


def cache_folder() -> Path:
    """Return the folder of the user's cache that holds everything built here."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path is to be ignored.
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return root / "netpol-guard"


def find(program: Program) -> Path | None:
    """Return the program's file if this machine has it, without building anything.

    Each program is looked for by itself: `setup-envtest` ships no kube-controller-manager, for instance.
    """
    for folder in _folders(program):
        candidate = folder / program
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    return None


def ensure(program: Program) -> Path:
    """Return the program's file, built now if this machine has none; raise BuildError if that fails."""
    found = find(program)
    if found is not None:
        return found
    target = _cached(program)
    package = "." if program is Program.CYCLONUS else f"./cmd/{program}"
    ldflags = kubernetes_flags(KUBERNETES_VERSION) if program.is_kubernetes else _STRIPPED
    build(Build(program, TOOLS / program.module, package, ldflags, target), cache_folder())
    return target


def kubernetes_flags(version: str) -> str:
    """Return the linker flags with which a program of Kubernetes knows its version."""
    return f"{_STRIPPED} -X k8s.io/component-base/version.gitVersion={version}"


def _folders(program: Program) -> list[Path]:
    cached = _cached(program).parent
    if not program.is_kubernetes:
        return [cached]
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    return [*([Path(assets)] if assets else []), KUBEBUILDER_BIN, cached]


def _cached(program: Program) -> Path:
    """Return where the cache has, or will have, the program.

    The folder's name holds a digest of the module's source: a changed tool is built anew.
    """
    module = program.module
    version = f"{module}-{KUBERNETES_VERSION}" if program.is_kubernetes else module
    return cache_folder() / f"{version}-{machine()}-{_digest(TOOLS / module)}" / program


def machine() -> str:
    """Return for what kind of machine programs are built here."""
    return f"{platform.system()}-{platform.machine()}".lower()


def _digest(module: Path) -> str:
    digest = hashlib.sha256(kubernetes_flags(KUBERNETES_VERSION).encode())
    for path in sorted(module.rglob("*")):
        if path.suffix == ".go" or path.name in {"go.mod", "go.sum"}:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(module).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:_DIGEST_LENGTH]


def main() -> int:
    """Build whatever is missing and print the programs' files; exit code 1 when one cannot be built."""
    for program in Program:
        try:
            print(f"{program:<24}{ensure(program)}")
        except BuildError as error:
            print(f"{program}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
