"""The manifests that come with the program: ``deploy/``, in a checkout as in an installed wheel.

``app/deploy`` is a link to ``deploy/`` in a checkout; building a wheel puts the files in its place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.errors import StartError

DEPLOY = Path(__file__).with_name("deploy")
SAMPLE = DEPLOY / "sample"
"""A sample IOMETE cluster, as ``kubectl get -o yaml`` would print it."""
CHANGES = DEPLOY / "changes"
"""Changes to the sample, for the demonstration."""


def guard_manifests() -> list[dict[str, Any]]:
    """Return the objects that make the guard a workload, in the order of ``deploy/kustomization.yaml``.

    They are what ``kubectl apply -k deploy`` applies: the kustomization lists files and does nothing else.
    Raises ``StartError`` where this installation lacks them.
    """
    import yaml  # noqa: PLC0415 - serving needs none of this

    found: list[dict[str, Any]] = []
    try:
        listed = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())["resources"]
        for name in listed:
            found += yaml.safe_load_all((DEPLOY / name).read_text())
    except OSError as error:
        raise StartError(f"this installation lacks {error.filename}: install netpol-guard again") from error
    return found
