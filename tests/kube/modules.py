"""Files that public Go modules ship, from the module cache: CustomResourceDefinitions, for instance."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.kube.binaries import TOOLS, cache_folder
from tests.kube.building import BuildError, go_command

CERT_MANAGER = "github.com/cert-manager/cert-manager"


def module_folder(module: str, tool: str) -> Path:
    """Return the folder of ``module`` in the version that ``tests/tools/<tool>/go.mod`` requires.

    It is downloaded now if this machine has not got it, and held against the sums in ``go.sum``. Raises
    ``BuildError`` where that fails.
    """
    required = re.search(rf"{re.escape(module)} (v\S+)", (TOOLS / tool / "go.mod").read_text())
    if required is None:
        message = f"tests/tools/{tool}/go.mod does not require {module}"
        raise BuildError(message)
    done = subprocess.run(
        [go_command(cache_folder()), "mod", "download", "-json", f"{module}@{required[1]}"],
        cwd=TOOLS / tool,
        capture_output=True,
        text=True,
        check=False,
    )
    told = json.loads(done.stdout or "{}")
    if done.returncode != 0 or "Error" in told:
        message = f"{module} {required[1]} cannot be downloaded: {told.get('Error') or done.stderr}"
        raise BuildError(message)
    return Path(told["Dir"])
