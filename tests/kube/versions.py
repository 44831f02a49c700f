"""The integration tests with another version of Kubernetes: ``python -m tests.kube.versions v1.36.3``.

How many runs and the seed of their order may follow. The programs are built like those of the usual version,
from the same module with other numbers in it, into the user's cache: minutes for each version, once.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.kube.binaries import KUBERNETES_VERSION, TOOLS, Program, cache_folder, kubernetes_flags, machine
from tests.kube.building import Build, build, locked, tidy

PROGRAMS = tuple(program for program in Program if program.is_kubernetes)
_TESTS = "tests/integration"


def programs_of(version: str) -> Path:
    """Return the folder with the programs of a version, built now if need be; raise BuildError if not."""
    cache = cache_folder()
    folder = cache / f"kubernetes-{version}-{machine()}"
    module = folder / "module"
    with locked(folder):
        if not module.exists():
            _write_module(version, module, cache)
    for program in PROGRAMS:
        build(Build(program, module, f"./cmd/{program}", kubernetes_flags(version), folder / program), cache)
    return folder


def with_version(text: str, version: str) -> str:
    """Return a `go.mod` with another version of Kubernetes and of its staging modules."""
    changed = text.replace(f"k8s.io/kubernetes {KUBERNETES_VERSION}", f"k8s.io/kubernetes {version}")
    staging = re.escape(KUBERNETES_VERSION.replace("v1.", "v0."))
    return re.sub(rf"{staging}\b", version.replace("v1.", "v0."), changed)


def _write_module(version: str, module: Path, cache: Path) -> None:
    fresh = module.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(TOOLS / "kubernetes", fresh)
    file = fresh / "go.mod"
    file.write_text(with_version(file.read_text(), version))
    tidy(fresh, cache)
    fresh.rename(module)


def main() -> int:
    """Run the tests as often as the command line says, each time in another order; return 1 if one failed."""
    version, runs, seed = [*sys.argv[1:], "1", "1"][:3]
    environment = {**os.environ, "KUBEBUILDER_ASSETS": str(programs_of(version))}
    for number in range(int(runs)):
        order = f"--random-order-seed={int(seed) + number}"
        command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", order, _TESTS]
        if subprocess.run(command, env=environment, check=False).returncode:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
