"""``bootstrap --output yaml``: what would stand, as manifests for GitOps."""

from __future__ import annotations

from collections.abc import Iterator

from app.engine.baselines import opening, written_baselines
from app.install.dry_run import as_yaml
from app.install.guard.manifests import GuardChoices, fitted, found_objects, networks_in
from app.install.policies.stored import Role, manifest_of
from app.install.ports import Site
from app.install.prepare import BootstrapRequest, Preparation, prepare
from app.model.kinds import Manifest
from app.shipped import guard_manifests


def manifests_as_yaml(site: Site, request: BootstrapRequest, *, guard: bool) -> str:
    """Return the guard, if wanted, and the baselines of every managed namespace.

    No private key is among them: the guard makes its own. Raises ``CannotInstall``.
    """
    preparation = prepare(site, request, ())
    made: list[Manifest] = []
    if guard:
        shipped = guard_manifests()
        choices = GuardChoices(request.image, networks_in(request.declared))
        made += fitted(shipped, found_objects(site.objects, shipped), choices)
    made += _policies(preparation)
    return "---\n".join(map(as_yaml, made))


def _policies(preparation: Preparation) -> Iterator[Manifest]:
    for namespace in preparation.names:
        for policy in written_baselines(preparation.inventory.cluster, namespace):
            yield manifest_of(policy, Role.BASELINE)
        for peer in preparation.request.openings:
            yield manifest_of(opening(namespace, peer), Role.OPENING)
