"""Asks Kubernetes' own code about the manifests of ``api_server_cases.py``, and records what it says.

``python -m tests.wire.record`` builds ``recorder/main.go`` in the module of the control plane (Go and its
module proxy are needed) and rewrites ``api_server_says.json``. Only needed when the cases or the release of
Kubernetes change; the tests compare with the recording.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.wire.api_server_cases import CASES

HERE = Path(__file__).parent
RECORDING = HERE / "api_server_says.json"
_MODULE = HERE.parent / "tools" / "kubernetes"


def build(folder: Path) -> Path:
    """Build the recorder in ``folder`` and return the program."""
    for path in (_MODULE / "go.mod", _MODULE / "go.sum", HERE / "recorder" / "main.go"):
        shutil.copy(path, folder)
    program = folder / "recorder"
    subprocess.run(["go", "build", "-o", program, "."], cwd=folder, check=True)
    return program


def ask(program: Path, objects: list[object]) -> list[dict[str, object]]:
    """Return what Kubernetes says about each of ``objects``."""
    lines = "\n".join(json.dumps(manifest) for manifest in objects)
    done = subprocess.run([program], input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def main() -> None:
    """Record the answers."""
    with tempfile.TemporaryDirectory() as folder:
        answers = ask(build(Path(folder)), list(CASES.values()))
    said = dict(zip(CASES, answers, strict=True))
    RECORDING.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(said)} answers in {RECORDING.name}")


if __name__ == "__main__":
    main()
