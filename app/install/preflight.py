"""What has to be so before anything is changed; each problem is a sentence that says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.engine.cluster import MANAGED, MANAGED_LABEL, MANAGED_VALUE, Cluster
from app.install.ports import ServerQueries
from app.model.access import Permission
from app.model.kinds import NETWORK_POLICY, Kind, Manifest, Reference

OLDEST = (1, 30)
"""``matchConditions`` are stable since then (``docs/design/decisions.md``, Defaults)."""
_VERSION = re.compile(r"v?(\d+)\.(\d+)")


def version_problem(version: str) -> str | None:
    """Return what is wrong with the server's version.

    >>> version_problem("v1.31.4-gke.5") is None
    True
    """
    match = _VERSION.match(version)
    if match is None:
        return f"the API server's version {version!r} is not understood: is this a Kubernetes API server?"
    if (int(match[1]), int(match[2])) < OLDEST:
        return f"Kubernetes {version} is too old: netpol-guard needs 1.30 or later; upgrade the cluster first"
    return None


def permissions(kind: Kind, verbs: Iterable[str], namespace: str = "") -> tuple[Permission, ...]:
    """Return the permissions to use ``verbs`` on objects of ``kind``."""
    return tuple(Permission(verb, kind.group, kind.resource, namespace) for verb in verbs)


_CHANGING = ("list", "create", "patch", "delete")
"""What changing policies takes; to apply is to create and to patch."""


def policy_permissions(namespaces: Sequence[str], verbs: Sequence[str] = _CHANGING) -> tuple[Permission, ...]:
    """Return the permissions to use ``verbs`` on the policies of ``namespaces``; of all, if none is named."""
    places = namespaces or ("",)
    return tuple(permission for name in places for permission in permissions(NETWORK_POLICY, verbs, name))


def object_permissions(manifests: Iterable[Manifest], verbs: Sequence[str]) -> tuple[Permission, ...]:
    """Return the permissions to use ``verbs`` on objects of the kinds and namespaces of ``manifests``."""
    places = dict.fromkeys((found.kind, found.namespace) for found in map(Reference.of, manifests))
    return tuple(permission for place in places for permission in permissions(place[0], verbs, place[1]))


def permission_problem(server: ServerQueries, wanted: Sequence[Permission]) -> str | None:
    """Return which of ``wanted`` the user does not have, None if none is missing."""
    missing = []
    everywhere: dict[Permission, bool] = {}
    for permission in wanted:
        anywhere = Permission(permission.verb, permission.group, permission.resource)
        if anywhere not in everywhere:
            everywhere[anywhere] = server.may(anywhere).allowed is True
        if everywhere[anywhere]:
            continue
        is_there = bool(permission.namespace) and server.may(permission).allowed is True
        if not is_there:
            missing.append(f"  - {permission}")
    if not missing:
        return None
    first = "these permissions are missing; ask a cluster admin for them, or use a kubeconfig that has them:"
    return "\n".join((first, *missing))


def source_problem(cluster: Cluster) -> str | None:
    """Return that no source of the API server's calls is known, None if one is."""
    if cluster.sources:
        return None
    return (
        "where the API server's calls come from could not be found out: name every member of the control"
        " plane with --api-server ADDRESS"
    )


@dataclass(frozen=True, slots=True)
class Chosen:
    """The namespaces to work on, and what is wrong or worth saying about them."""

    names: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def choose(cluster: Cluster, only: Sequence[str]) -> Chosen:
    """Return the managed namespaces of ``cluster``; of ``only``, if any are named, all must be such."""
    problems = [problem for name in only if (problem := _name_problem(cluster, name))]
    managed = [name for name, found in sorted(cluster.namespaces.items()) if MANAGED.matches(found.labels)]
    wanted = [name for name in managed if not only or name in only]
    leaving = [name for name in wanted if cluster.namespaces[name].terminating]
    notes = [f"namespace {name} is being deleted: left out" for name in leaving]
    if not managed and not problems:
        notes.append(
            f"no namespace carries {MANAGED_LABEL}={MANAGED_VALUE}: name those of the platform with"
            " -n NAME --label"
        )
    return Chosen(tuple(name for name in wanted if name not in leaving), tuple(problems), tuple(notes))


def _name_problem(cluster: Cluster, name: str) -> str | None:
    found = cluster.namespaces.get(name)
    if found is None:
        return f"there is no namespace {name}; create it first, or correct the name"
    if not MANAGED.matches(found.labels):
        return (
            f"namespace {name} does not carry {MANAGED_LABEL}={MANAGED_VALUE}; if it is one of the platform,"
            " have it labelled with --label"
        )
    return None


def opening_problems(cluster: Cluster, openings: Iterable[str]) -> tuple[str, ...]:
    """Return what is wrong with the namespaces that are to be let in."""
    unknown = (name for name in openings if name not in cluster.namespaces)
    return tuple(f"--allow-namespace {name}: there is no such namespace" for name in unknown)
