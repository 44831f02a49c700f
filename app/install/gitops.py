"""``bootstrap --output yaml``: what would stand, as manifests for GitOps."""

from __future__ import annotations

from collections.abc import Iterator

import typer

from app.cli.site import Tools
from app.engine.baselines import opening, written_baselines
from app.install.dry_run import as_yaml
from app.install.guard.manifests import GuardWishes, fitted, found_objects, networks_in
from app.install.policies.stored import Role, manifest_of
from app.install.prepare import Ground, Request, prepare
from app.model.kinds import Manifest
from app.shipped import guard_manifests


def print_manifests(tools: Tools, request: Request, *, guard: bool) -> int:
    """Print the guard, if wanted, and the baselines of every managed namespace; return the exit code.

    No private key is among them: the guard makes its own. Raises ``CannotInstall``.
    """
    ground = prepare(tools, request, ())
    made: list[Manifest] = []
    if guard:
        shipped = guard_manifests()
        wishes = GuardWishes(request.image, networks_in(request.declared))
        made += fitted(shipped, found_objects(tools.objects, shipped), wishes)
    made += _policies(ground)
    typer.echo("---\n".join(map(as_yaml, made)), nl=False)
    return 0


def _policies(ground: Ground) -> Iterator[Manifest]:
    for name in ground.names:
        for policy in written_baselines(ground.stock.cluster, name):
            yield manifest_of(policy, Role.BASELINE)
        for other in ground.request.openings:
            yield manifest_of(opening(name, other), Role.OPENING)
