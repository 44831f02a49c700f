"""A whole cluster in memory, with the guard in it: what is changed there, and what is waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any

from app.engine.cluster import MANAGED_LABEL, MANAGED_VALUE, Cluster, Source, WebhookService, strongest
from app.engine.policy import Namespace
from app.errors import ChangeFailed
from app.install.guard.manifests import CONFIGURATION, WORKLOAD, is_held
from app.install.policies.neighbours import neighbours
from app.install.policies.stored import Inventory, by_namespace
from app.install.ports import GuardSettings
from app.model.access import Access, Permission
from app.model.kinds import NAMESPACE, NETWORK_POLICY, POD, DryRun, Manifest, Reference, Written
from app.model.measurement import CallerPlace, Coverage, Measurement, Observation, ObservedPlace, Reach
from app.model.survey import PluginLimit
from app.names import FailurePolicy
from tests.install.store import MemoryStore, NoTime
from tests.install.world import MANAGED, NS, SERVICES, source, webhook

IMAGE = "registry.example/netpol-guard:1"
LISTED, HIDDEN = "10.20.0.10", "10.20.0.11"
"""An address of the API server that an EndpointSlice lists, and one that only measuring tells."""
HOME = Reference(NAMESPACE, "netpol-guard")
DENIAL = 'admission webhook "networkpolicies.netpol-guard.iomete.com" denied the request: x would cut y'
NO_EFFECT = "netpol-guard: x has no effect: y"


def namespace(name: str, labels: dict[str, str]) -> Manifest:
    """Return a Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def measurement(*addresses: str) -> Measurement:
    """Return what was measured where every call came from one of ``addresses``."""
    found = (
        ObservedPlace(CallerPlace(peer), (Observation(peer, LISTED, "netpol-guard-1"),))
        for peer in map(ip_address, addresses)
    )
    return Measurement(tuple(found), (Coverage(LISTED, Reach.SINGLE, 4, 4),))


@dataclass
class GuardedStore(MemoryStore):
    """The objects of a cluster that runs what is deployed: the guard starts, answers and raises its policy.

    ``runs``, ``decides`` and ``raises`` say what of that it does; ``stuck`` is what never goes once deleted.
    """

    runs: bool = True
    decides: bool = True
    raises: bool = True
    stuck: bool = False
    _leaving: dict[Reference, Manifest] = field(default_factory=dict)

    def get(self, reference: Reference) -> Manifest | None:
        """Return the object; a namespace that was deleted is there for a moment."""
        return super().get(reference) or self._leaving.get(reference)

    def merge(self, reference: Reference, patch: Manifest, dry_run: DryRun = DryRun.NONE) -> Written:
        """Merge; in a dry run of a policy the guard decides."""
        if dry_run is DryRun.ALL and self._is_guarded:
            raise ChangeFailed(f"patch {reference}", "an admission webhook said no", said=DENIAL)
        return super().merge(reference, patch, dry_run)

    def create(self, manifest: Manifest, dry_run: DryRun = DryRun.NONE) -> Written:
        """Create; in a dry run of a policy the guard has a word to say."""
        written = super().create(manifest, dry_run)
        return Written(written.object, (NO_EFFECT,) if self._is_guarded else ())

    def delete(self, reference: Reference, dry_run: DryRun = DryRun.NONE, *, uid: str = "") -> Written | None:
        """Delete; a namespace and the pods of the Deployment take their time."""
        gone = super().delete(reference, dry_run, uid=uid)
        if gone is not None and reference.kind == NAMESPACE:
            self._leaving[reference] = gone.object
        return gone

    def reconcile(self) -> None:
        """Do what controllers and the guard do meanwhile."""
        deployment, configuration = self.objects.get(WORKLOAD), self.objects.get(CONFIGURATION)
        pod = Reference(POD, "netpol-guard-1", "netpol-guard")
        if deployment is not None and self.runs:
            wanted = deployment["spec"]["replicas"]
            deployment["status"] = dict.fromkeys(
                ("replicas", "updatedReplicas", "availableReplicas"), wanted
            ) | {"observedGeneration": 1}
            self.objects[pod] = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {**deployment["metadata"], "name": pod.name},
            }
        if deployment is None and not self.stuck:
            self._leaving.clear()
            self.objects.pop(pod, None)
        if (
            deployment is not None
            and configuration is not None
            and self.raises
            and not is_held(configuration)
        ):
            for each in configuration["webhooks"]:
                each["failurePolicy"] = FailurePolicy.FAIL.value
                each["clientConfig"]["caBundle"] = "Y2E="

    @property
    def failure_policies(self) -> set[str]:
        """What stands in the guard's configuration."""
        found = self.objects.get(CONFIGURATION, {})
        return {each["failurePolicy"] for each in found.get("webhooks", ())}

    @property
    def _is_guarded(self) -> bool:
        return self.runs and self.decides and CONFIGURATION in self.objects and WORKLOAD in self.objects


@dataclass
class FakeServer:
    """An API server of a version, with what a user may not do on it."""

    release: str = "v1.33.0"
    refused: Callable[[Permission], bool] = lambda _: False

    def version(self) -> str:
        """Return the version."""
        return self.release

    def may(self, permission: Permission) -> Access:
        """Return whether it is not refused."""
        return Access(allowed=not self.refused(permission))


@dataclass
class FakeSite:
    """A ``Site`` in memory; ``measured`` is what probes find, an error where they find nothing.

    ``limits`` are what is said of the network plugin, one answer after the other, the last one for good;
    ``before_look`` happens before what is there is listed.
    """

    objects: GuardedStore
    server: FakeServer = field(default_factory=FakeServer)
    listed: tuple[Source, ...] = (source(LISTED),)
    webhooks: tuple[WebhookService, ...] = (webhook(),)
    measured: Measurement | ChangeFailed = field(default_factory=lambda: measurement(LISTED))
    limits: list[PluginLimit | None] = field(default_factory=lambda: [None])
    settings: GuardSettings | Exception = field(default_factory=GuardSettings)
    before_look: Callable[[], None] = lambda: None
    remembered: tuple[Source, ...] = ()
    clock: NoTime = field(init=False)

    def __post_init__(self) -> None:
        """Let the cluster go on while somebody waits."""
        self.clock = NoTime(self.objects.reconcile)

    @classmethod
    def of(cls, *manifests: Manifest, **more: Any) -> FakeSite:  # noqa: ANN401 - fields
        """Return a cluster with a managed namespace and two others, and ``manifests`` in it."""
        namespaces = (namespace(NS, MANAGED), namespace("istio-system", {}), namespace("web", {}))
        return cls(GuardedStore.of(*namespaces, *manifests), **more)

    def inventory(
        self,
        declared: tuple[Source, ...] = (),
        measured: tuple[Source, ...] = (),
        *,
        labelled: Iterable[str] = (),
        only: Sequence[str] = (),
    ) -> Inventory:
        """Return what is there."""
        self.before_look()
        coming = {name: {MANAGED_LABEL: MANAGED_VALUE} for name in labelled}
        namespaces = {}
        for manifest in self.objects.list(NAMESPACE):
            name, labels = manifest["metadata"]["name"], manifest["metadata"].get("labels") or {}
            going = "deletionTimestamp" in manifest["metadata"]
            labels = {**labels, **coming.get(name, {})}
            namespaces[name] = replace(Namespace.of(name, labels), terminating=going)
        policies = [
            manifest for name in only or ("",) for manifest in self.objects.list(NETWORK_POLICY, name)
        ]
        stored = by_namespace(policies)
        cluster = Cluster(
            namespaces,
            {name: tuple(found.policy for found in all_found) for name, all_found in stored.items()},
            declared or strongest((*measured, *self.remembered, *self.listed)),
            self.webhooks,
        )
        return Inventory(cluster, stored, neighbours(cluster, SERVICES))

    def measure(self, namespace: str, seconds: float) -> Measurement:
        """Return what probes find, and remember it."""
        assert (namespace, seconds) == (NS, 180.0)
        if isinstance(self.measured, ChangeFailed):
            raise self.measured
        self.remembered = self.measured.sources
        return self.measured

    def plugin_limit(self, sources: Sequence[Source]) -> PluginLimit | None:
        """Return the next answer."""
        del sources
        return self.limits.pop(0) if len(self.limits) > 1 else self.limits[0]

    def guard_settings(self) -> GuardSettings:
        """Return what the settings say."""
        if isinstance(self.settings, Exception):
            raise self.settings
        return self.settings

    def policies(self, namespace: str = NS) -> set[str]:
        """Return the names of the policies of a namespace."""
        return {manifest["metadata"]["name"] for manifest in self.objects.list(NETWORK_POLICY, namespace)}

    @property
    def writes(self) -> int:
        """How often anything was written."""
        return len(self.objects.history) - 1
