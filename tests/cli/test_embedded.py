from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_embedded_run_shows_five_changes_with_their_verdicts_as_kubectl_would(tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("listen: {port: 0, healthPort: 0}\n")
    shown = subprocess.run(
        [sys.executable, "-m", "app", "serve", "--embedded", "--once", "--config", str(settings)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert shown.count("Error from server (Forbidden): admission webhook") == 4
    assert "Warning: netpol-guard: default-deny has no effect" in shown
    assert "curl --cacert" in shown
