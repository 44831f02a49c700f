"""Hands a certificate and its key to the TLS library, which takes files only, without leaving one behind."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.certificates.pairs import Pair


@contextmanager
def as_file(pair: Pair) -> Iterator[str | Path]:
    """Yield the path of a file that holds certificate and key while the block runs.

    Where the system can (Linux), it lies in memory and nobody else can open it, so that a container needs no
    place to write to; elsewhere it is a file of its owner's, gone after the block. Raises ``OSError``.
    """
    content = pair.certificate + b"\n" + pair.key
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("serving-certificate", os.MFD_CLOEXEC)
        try:
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.write(content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile(prefix="netpol-guard-") as named:  # its mode is 0600
        named.write(content)
        named.flush()
        yield named.name
