"""What follows from where calls were seen to come from (``docs/design/sources.md``, Consequences). Pure.

An address becomes a source as it is, but for two sorts: that of a proxy's pod becomes the pods with its
label, as it changes with the pod; and that of a tunnel or gateway in the pod network stands for one such
address on each node of the control plane.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from app.cluster.probe.address_owners import AddressOwners
from app.cluster.state.facts import AGENT_LABELS, AGENT_VALUE, KUBE_SYSTEM
from app.cluster.state.sources import pod_networks, siblings
from app.engine.addresses import Address, address_of
from app.model.measurement import CallerPlace, Coverage, Measurement, Observation, ObservedPlace, Reach
from app.wire.objects.pods import PodFacts

_EKS = "-eks-"
"""How its kubelets mark their version: ``v1.37.2-eks-0a1b2c3``."""


def conclude(
    observations: Iterable[Observation],
    coverage: tuple[Coverage, ...],
    owners: AddressOwners,
    notes: tuple[str, ...] = (),
) -> Measurement:
    """Return the measurement that the sightings amount to; ``notes`` are those that there are already."""
    by_place: dict[str, tuple[CallerPlace, list[Observation]]] = {}
    by_peer: dict[Address, list[Observation]] = defaultdict(list)
    for observation in observations:
        by_peer[observation.peer].append(observation)
    told, unplaced = list(notes), []
    for peer, seen in sorted(by_peer.items(), key=lambda item: (item[0].version, item[0])):
        place, note = _place(peer, owners)
        told += [note] if note else []
        if place is None:
            unplaced.append(peer)
        else:
            by_place.setdefault(str(place), (place, []))[1].extend(seen)
    found = tuple(ObservedPlace(place, tuple(seen)) for place, seen in by_place.values())
    derived = tuple(other for observed in found for other in siblings(observed.place, owners.nodes))
    told += (*_coverage_notes(coverage), *_unreached_notes(coverage, owners.guards))
    told += (*_family_notes(found, owners), *_platform_notes(owners), *owners.notes)
    return Measurement(found, coverage, derived, tuple(dict.fromkeys(told)), unplaced=tuple(unplaced))


def _place(peer: Address, owners: AddressOwners) -> tuple[CallerPlace | None, str]:
    """Return what to let in for ``peer``, and what to tell about it."""
    pod = next((candidate for candidate in owners.pods if peer in candidate.own_addresses), None)
    if pod is not None:
        return _pod_place(peer, pod, owners.guard_namespace)
    node = next((found for found in owners.nodes if peer in map(address_of, found.addresses)), None)
    if node is not None and not node.is_control_plane:
        return CallerPlace(peer), (
            f"{peer} is the address of node {node.name}, which is none of the control plane: calls come"
            " through something in its host network, such as a tunnel's agent. Others like it may follow:"
            " measure again after nodes change, or declare them (apiServer.sources)"
        )
    return CallerPlace(peer), ""


def _pod_place(peer: Address, pod: PodFacts, guard_namespace: str) -> tuple[CallerPlace | None, str]:
    key = next((label for label in AGENT_LABELS if pod.labels.get(label) == AGENT_VALUE), None)
    if key is not None and pod.namespace == KUBE_SYSTEM:
        return CallerPlace(None, KUBE_SYSTEM, {key: AGENT_VALUE}), (
            f"calls come through the konnectivity agents, e.g. pod {pod.name} at {peer}"
        )
    if pod.namespace == guard_namespace:
        return None, (
            f"a guard was called from the address of the guard's own pod {pod.name} ({peer}): a proxy in the"
            " pod, such as a mesh sidecar, hides the caller. Take the guard out of the mesh"
        )
    return None, (
        f"calls come from {peer}, the address of pod {pod.namespace}/{pod.name}, which is no known proxy."
        " An address of a pod does not last: declare what covers it (apiServer.sources)"
    )


def _platform_notes(owners: AddressOwners) -> Iterator[str]:
    if any(_EKS in node.version for node in owners.nodes):
        yield (
            "on EKS the addresses of the API server are replaced on upgrades: declare the subnets of the"
            " control plane (apiServer.sources), or measure again after an upgrade"
        )


def _coverage_notes(coverage: Iterable[Coverage]) -> Iterator[str]:
    for asked in coverage:
        if asked.hidden:
            yield (
                "a proxy in the guard's pod, such as a mesh sidecar, hides the caller: take the guard out of"
                " the mesh, or declare the sources (apiServer.sources)"
            )
        if asked.probes > asked.answers:
            lost = asked.probes - asked.answers
            yield f"{lost} of {asked.probes} probes at {asked.api_server}: {asked.trouble}"
        if asked.reach is Reach.SHARED and asked.answers:
            yield (
                f"{asked.api_server} may stand for several API servers, which answer by chance: one that does"
                f" so every third time stayed unseen in {asked.answers} probes with a probability of"
                f" {_unseen(3, asked.answers)}, one that does so every tenth time of"
                f" {_unseen(10, asked.answers)}"
            )


def _unreached_notes(coverage: Iterable[Coverage], guards: frozenset[str]) -> Iterator[str]:
    for told in coverage:
        for pod in sorted(guards - set(told.pods)) if told.answers else ():
            yield (
                f"none of {told.answers} calls of API server {told.api_server} came to pod {pod}: where they"
                " would come from on its node is not measured. Look at the network between the two"
            )


def _family_notes(found: Iterable[ObservedPlace], owners: AddressOwners) -> Iterator[str]:
    """Yield that a family was not measured, where pods have addresses of it: a Service may have it alone."""
    seen = {observed.place.address.version for observed in found if observed.place.address is not None}
    networks = {each.version for node in owners.nodes for each in pod_networks(node)}
    for version in sorted(networks - seen) if seen else ():
        yield (
            f"calls over IPv{version} were not measured, as the guard's Service is called over"
            f" IPv{min(seen)}: where they come from is guessed, for webhooks whose Service has IPv{version}"
            " first"
        )


def _unseen(members: int, probes: int) -> str:
    """Return the chance that one of so many equal members answered none of the probes.

    >>> _unseen(3, 21), _unseen(10, 21), _unseen(3, 400)
    ('0.02 %', '11 %', 'less than 0.01 %')
    """
    percent = 100 * (1 - 1 / members) ** probes
    return "less than 0.01 %" if percent < 0.01 else f"{percent:.2g} %"  # noqa: PLR2004 - as the text says
