from __future__ import annotations

import ssl
import stat
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "certs" / "make_dev_certs.py"


def test_the_tool_writes_a_pair_that_can_be_served_and_keeps_the_key_to_its_owner(tmp_path: Path) -> None:
    for _ in range(2):  # a second run replaces what the first wrote
        subprocess.run([sys.executable, str(TOOL), "--out", str(tmp_path), "guard.local"], check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca.pem", "tls-key.pem", "tls.pem"]
    assert stat.S_IMODE((tmp_path / "tls-key.pem").stat().st_mode) == 0o600
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.pem", tmp_path / "tls-key.pem")
