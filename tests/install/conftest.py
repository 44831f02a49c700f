"""What all tests of installing have in common."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest

from app.install import bootstrap, gitops, uninstall
from app.shipped import guard_manifests


@pytest.fixture(autouse=True, scope="session")
def _shipped_once() -> Iterator[None]:
    """Read the manifests that ship once for all tests: nobody changes them."""
    shipped = functools.cache(guard_manifests)
    with pytest.MonkeyPatch.context() as patched:
        for module in (bootstrap, gitops, uninstall):
            patched.setattr(module, "guard_manifests", shipped)
        yield
