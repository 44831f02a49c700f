from __future__ import annotations

from dataclasses import replace

import pytest

from app.engine.policy import Namespace
from app.install.preflight import (
    choose,
    opening_problems,
    permission_problem,
    policy_permissions,
    source_problem,
    version_problem,
)
from app.model.access import Access, Permission
from tests.install.world import CLUSTER, MANAGED, NS


@pytest.mark.parametrize("version", ["v1.30.0", "v1.37.2", "v1.31.4-gke.1183000", "v1.33.1+k3s1", "v2.0.0"])
def test_a_server_that_is_new_enough_is_taken(version: str) -> None:
    assert version_problem(version) is None


@pytest.mark.parametrize("version", ["v1.29.14", "v1.9.0", "v0.99.0"])
def test_a_server_that_is_too_old_is_refused_with_what_to_do(version: str) -> None:
    assert version_problem(version) == (
        f"Kubernetes {version} is too old: netpol-guard needs 1.30 or later; upgrade the cluster first"
    )


def test_something_that_is_no_version_is_refused() -> None:
    assert "is this a Kubernetes API server?" in (version_problem("nginx") or "")


class Rights:
    """Answers by a set of permissions, and counts the questions."""

    def __init__(self, *held: Permission) -> None:
        self.held = set(held)
        self.asked: list[Permission] = []

    def version(self) -> str:
        """Return a version."""
        return "v1.37.2"

    def may(self, permission: Permission) -> Access:
        """Return whether it is held."""
        self.asked.append(permission)
        return Access(permission in self.held)


def test_all_that_is_missing_is_listed_and_nothing_else() -> None:
    wanted = policy_permissions(["one", "two"])
    rights = Rights(*(permission for permission in wanted if permission.namespace == "one"), *wanted[4:5])
    told = permission_problem(rights, wanted) or ""
    assert told.splitlines()[1:] == [
        "  - create networkpolicies.networking.k8s.io in namespace two",
        "  - patch networkpolicies.networking.k8s.io in namespace two",
        "  - delete networkpolicies.networking.k8s.io in namespace two",
    ]


def test_who_may_do_it_everywhere_is_not_asked_namespace_by_namespace() -> None:
    wanted = policy_permissions([f"ns-{number}" for number in range(100)])
    rights = Rights(*(replace(permission, namespace="") for permission in wanted))
    assert permission_problem(rights, wanted) is None
    assert len(rights.asked) == 4


def test_an_answer_that_nobody_gave_counts_as_missing() -> None:
    class Silent(Rights):
        def may(self, permission: Permission) -> Access:
            return Access.unknown(f"no answer about {permission}")

    assert "list" in (permission_problem(Silent(), policy_permissions(["one"])) or "")


def test_all_managed_namespaces_are_chosen_but_those_being_deleted() -> None:
    going = Namespace.of("going", MANAGED, terminating=True)
    chosen = choose(replace(CLUSTER, namespaces={**CLUSTER.namespaces, "going": going}), [])
    assert chosen.names == (NS, "iomete-system")
    assert chosen.notes == ("namespace going is being deleted: left out",)


def test_namespaces_that_are_named_must_exist_and_be_managed() -> None:
    chosen = choose(CLUSTER, [NS, "nowhere", "web"])
    assert chosen.names == (NS,)
    assert [problem.partition(";")[0] for problem in chosen.problems] == [
        "there is no namespace nowhere",
        "namespace web does not carry iomete.com/managed=true",
    ]


def test_a_cluster_without_a_managed_namespace_is_told_how_to_name_one() -> None:
    assert "-n NAME --label" in choose(replace(CLUSTER, namespaces={}), []).notes[0]


def test_a_namespace_to_let_in_must_exist() -> None:
    assert opening_problems(CLUSTER, ["istio-system"]) == ()
    assert opening_problems(CLUSTER, ["istio"]) == ("--allow-namespace istio: there is no such namespace",)


def test_without_any_source_the_option_that_names_them_is_told() -> None:
    assert source_problem(CLUSTER) is None
    assert "--api-server ADDRESS" in (source_problem(replace(CLUSTER, sources=())) or "")
