"""Make a certificate authority and a serving certificate under it, for development."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from app.certificates.expiry import Validity  # noqa: E402 - the path comes first
from app.certificates.issue import issue_serving, make_authority  # noqa: E402 - the same

HOSTS = ("localhost", "127.0.0.1", "::1", "netpol-guard.netpol-guard.svc")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "hosts", nargs="*", default=HOSTS, help=f"names and addresses (default: {' '.join(HOSTS)})"
    )
    parser.add_argument("--days", type=int, default=30, help="how long they are good (default: 30)")
    parser.add_argument("--out", type=Path, default=HERE, help="the folder to write to (default: this one)")
    return parser.parse_args()


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file that nobody else could read even for a moment, if it is a key."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    print(f"wrote {path}")


def main() -> int:
    """Write ca.pem, tls.pem and tls-key.pem; the authority's key is thrown away."""
    given = _arguments()
    validity = Validity.lasting(timedelta(days=given.days), datetime.now(UTC))
    authority = make_authority("netpol-guard development CA", validity)
    serving = issue_serving(authority, tuple(given.hosts), validity)
    given.out.mkdir(parents=True, exist_ok=True)
    _write(given.out / "ca.pem", authority.certificate, 0o644)
    _write(given.out / "tls.pem", serving.certificate, 0o644)
    _write(given.out / "tls-key.pem", serving.key, 0o600)
    return 0


if __name__ == "__main__":
    sys.exit(main())
