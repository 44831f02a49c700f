"""An API server's store in memory: versions, finalizers, owners, and who is asked about what.

What ``deploy/webhook.yaml`` says about when the guard is asked is written down here once more. Changes are
single, each made at once: those that meet are simulated in ``tests/admission/ledger``.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

Object = dict[str, Any]
Key = tuple[str, str]
"""Namespace and name of a policy."""
MANAGED_LABEL, NAME_LABEL = "iomete.com/managed", "kubernetes.io/metadata.name"
MODE_LABEL = "netpol-guard.iomete.com/mode"
COLLECTOR = "system:serviceaccount:kube-system:generic-garbage-collector"
NAMESPACE_CONTROLLER = "system:serviceaccount:kube-system:namespace-controller"
ONE_ACCOUNT = "system:kube-controller-manager"
FOREGROUND = "foregroundDeletion"

Review = dict[str, Any]
Ask = Callable[[Review], bool]
"""Tells whether the guard admits a request."""


@dataclass
class Store:
    """All objects; ``ask`` is the guard. A method returns whether the change was made."""

    ask: Ask
    one_account: bool = False
    namespaces: dict[str, Object] = field(default_factory=dict)
    policies: dict[Key, Object] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    """ConfigMaps by name that policies may be owned by, and their uids."""
    service: Object | None = None
    endpoints: int | None = None
    configuration: Object | None = None
    gone: dict[str, int] = field(default_factory=dict)
    """Uids and names of policies that went, with the version of the event."""
    licensed: set[str] = field(default_factory=set)
    """Namespaces whose mode was written last by somebody who may override."""
    version: int = 100

    def __post_init__(self) -> None:
        self._uids = count(1)

    def next_version(self) -> int:
        """Return the version of a write."""
        self.version += 1
        return self.version

    def uid(self) -> str:
        """Return a uid never used before."""
        return f"uid-{next(self._uids)}"

    def is_managed(self, namespace: str) -> bool:
        """Tell whether a namespace carries the managed label now."""
        found = self.namespaces.get(namespace)
        return found is not None and labels_of(found).get(MANAGED_LABEL) == "true"

    # -- namespaces ----------------------------------------------------------------------------------------

    def create_namespace(self, name: str, labels: dict[str, str], user: str) -> bool:
        """Create a namespace; there is always one of this name at most."""
        new = _object("Namespace", {"name": name, "labels": {**labels, NAME_LABEL: name}})
        if name in self.namespaces:
            return False
        self._stamp(new)
        new["metadata"]["uid"] = self.uid()
        if not self._asked_namespace("CREATE", new, None, user):
            return False
        self.namespaces[name] = new
        self._license(name, user)
        return True

    def _license(self, name: str, user: str) -> None:
        if user == "admin":
            self.licensed.add(name)
        else:
            self.licensed.discard(name)

    def update_namespace(
        self, name: str, change: Callable[[Object], None], user: str, *, part: str = "", dry_run: bool = False
    ) -> bool:
        """Change a namespace's metadata, through a subresource if ``part`` names one."""
        old = self.namespaces.get(name)
        if old is None:
            return False
        new = copy.deepcopy(old)
        change(new)
        new["metadata"]["labels"][NAME_LABEL] = name
        if not self._asked_namespace("UPDATE", new, old, user, part=part, dry_run=dry_run):
            return False
        if not dry_run and new != old:
            self._stamp(new)
            self.namespaces[name] = new
            # Whoever makes a namespace managed answers for the mode that it carries already, too.
            if any(labels_of(new).get(key) != labels_of(old).get(key) for key in (MODE_LABEL, MANAGED_LABEL)):
                self._license(name, user)
        return True

    def delete_namespace(self, name: str) -> bool:
        """Begin to delete a namespace: nobody is asked, and its policies go when the controller comes."""
        found = self.namespaces.get(name)
        if found is None or "deletionTimestamp" in found["metadata"]:
            return False
        new = copy.deepcopy(found)
        new["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self._stamp(new)
        self.namespaces[name] = new
        return True

    def empty_namespaces(self) -> None:
        """Have the namespace controller take away what it may, and namespaces that are empty."""
        for name, namespace in list(self.namespaces.items()):
            if "deletionTimestamp" in namespace["metadata"]:
                for key in [key for key in self.policies if key[0] == name]:
                    user = ONE_ACCOUNT if self.one_account else NAMESPACE_CONTROLLER
                    self.delete(key, user, nameless=True)
                if all(key[0] != name for key in self.policies):
                    del self.namespaces[name]
                    self.next_version()

    # -- policies ------------------------------------------------------------------------------------------

    def create(self, new: Object, user: str, *, dry_run: bool = False) -> bool:
        """Create a policy; the guard is asked before it is known whether the name is free."""
        key = key_of(new)
        namespace = self.namespaces.get(key[0])
        if namespace is None or "deletionTimestamp" in namespace["metadata"]:
            return False
        new = copy.deepcopy(new)
        new["metadata"] |= {"uid": self.uid(), "generation": 1}
        new["metadata"].pop("deletionTimestamp", None)
        if not self._asked_policy("CREATE", new, None, user, dry_run=dry_run):
            return False
        if dry_run or key in self.policies:
            return dry_run
        self._stamp(new)
        self.policies[key] = new
        return True

    def update(self, key: Key, change: Callable[[Object], None], user: str, *, dry_run: bool = False) -> bool:
        """Change a policy; one whose last finalizer is taken away while it is being deleted goes."""
        old = self.policies.get(key)
        if old is None:
            return False
        new = copy.deepcopy(old)
        change(new)
        was_going = "deletionTimestamp" in old["metadata"]
        if was_going and not set(_finalizers(new)) <= set(_finalizers(old)):
            return False  # no new finalizers are taken by what is being deleted
        if new["spec"] != old["spec"]:
            new["metadata"]["generation"] = old["metadata"]["generation"] + 1
        if not self._asked_policy("UPDATE", new, old, user, dry_run=dry_run):
            return False
        if dry_run or new == old:
            return True
        if was_going and not _finalizers(new):
            self._remove(key)
        else:
            self._stamp(new)
            self.policies[key] = new
        return True

    def delete(
        self,
        key: Key,
        user: str,
        *,
        foreground: bool = False,
        nameless: bool = False,
        dry_run: bool = False,
    ) -> bool:
        """Delete a policy, or begin to; of a collection (``nameless``) the request says no name."""
        old = self.policies.get(key)
        if old is None or not self._asked_policy(
            "DELETE", None, old, user, name="" if nameless else key[1], dry_run=dry_run
        ):
            return False
        if dry_run or "deletionTimestamp" in old["metadata"]:
            return True
        finalizers = [*_finalizers(old), *([FOREGROUND] if foreground else [])]
        if not finalizers:
            self._remove(key)
            return True
        new = copy.deepcopy(old)
        going = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": finalizers}
        new["metadata"] |= {**going, "generation": old["metadata"]["generation"] + 1}
        self._stamp(new)
        self.policies[key] = new
        return True

    def collect_garbage(self) -> None:
        """Have the collector try to delete what has owners of which none is left; it tries again for ever."""
        user = ONE_ACCOUNT if self.one_account else COLLECTOR
        for key, policy in list(self.policies.items()):
            owners = policy["metadata"].get("ownerReferences") or []
            if owners and all(owner["uid"] not in self.owners.values() for owner in owners):
                self.delete(key, user)
            if FOREGROUND in _finalizers(self.policies.get(key, policy)) and key in self.policies:
                self.update(key, _without_foreground, user)

    def _remove(self, key: Key) -> None:
        version, old = self.next_version(), self.policies.pop(key)
        self.gone[old["metadata"]["uid"]] = self.gone["/".join(key)] = version

    def _stamp(self, new: Object) -> None:
        new["metadata"]["resourceVersion"] = str(self.next_version())

    # -- who is asked --------------------------------------------------------------------------------------

    def _asked_policy(
        self,
        operation: str,
        new: Object | None,
        old: Object | None,
        user: str,
        *,
        name: str | None = None,
        dry_run: bool = False,
    ) -> bool:
        namespace, own = key_of(new or old or {})
        if not self.is_managed(namespace):
            return True
        request = _request(operation, "networkpolicies", (new, old), user)
        request |= {"namespace": namespace, "name": own if name is None else name, "dryRun": dry_run}
        if not self.is_asked(request):
            return True
        return self.ask(request)

    def is_asked(self, request: Review) -> bool:
        """Tell whether the match conditions ask about a change of a policy."""
        by_controller = request["userInfo"]["username"] in (NAMESPACE_CONTROLLER, ONE_ACCOUNT)
        if request["operation"] == "DELETE" and not request["name"] and by_controller:
            return False
        new, old = request["object"], request["oldObject"]
        is_going = new is not None and "deletionTimestamp" in new["metadata"]
        return request["operation"] != "UPDATE" or not is_going or new["spec"] != old["spec"]

    def _asked_namespace(
        self,
        operation: str,
        new: Object,
        old: Object | None,
        user: str,
        *,
        part: str = "",
        dry_run: bool = False,
    ) -> bool:
        versions = [new] if old is None else [new, old]
        if all(labels_of(version).get(MANAGED_LABEL) != "true" for version in versions):
            return True
        if old is not None and labels_of(new) == labels_of(old):
            return True
        if "deletionTimestamp" in new["metadata"]:
            return True
        request = _request(operation, "namespaces", (new, old), user)
        name = new["metadata"]["name"]
        more = {"namespace": name, "name": name, "dryRun": dry_run, "subResource": part}
        return self.ask({**request, **more})


def labels_of(one: Object) -> dict[str, str]:
    """Return an object's labels."""
    found: dict[str, str] = one["metadata"].get("labels") or {}
    return found


def key_of(policy: Object) -> Key:
    """Return a policy's namespace and name."""
    return policy["metadata"]["namespace"], policy["metadata"]["name"]


def is_going(one: Object) -> bool:
    """Tell whether an object is being deleted."""
    return "deletionTimestamp" in one["metadata"]


def encoded(one: Object) -> bytes:
    """Return an object as the API server sends it."""
    return json.dumps(one).encode()


def of_namespace(policies: dict[Key, Object], namespace: str) -> Iterator[Object]:
    """Yield the policies of one namespace."""
    return (policy for key, policy in policies.items() if key[0] == namespace)


def _finalizers(one: Object) -> list[str]:
    return list(one["metadata"].get("finalizers") or [])


def _without_foreground(policy: Object) -> None:
    policy["metadata"]["finalizers"] = [each for each in _finalizers(policy) if each != FOREGROUND]


def _object(kind: str, metadata: Object) -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


def _request(
    operation: str, resource: str, versions: tuple[Object | None, Object | None], user: str
) -> Review:
    group = "" if resource == "namespaces" else "networking.k8s.io"
    kind = "Namespace" if resource == "namespaces" else "NetworkPolicy"
    return {
        "uid": "705ab4f5",
        "kind": {"group": group, "version": "v1", "kind": kind},
        "resource": {"group": group, "version": "v1", "resource": resource},
        "operation": operation,
        "userInfo": {"username": user, "groups": ["system:authenticated"]},
        "object": versions[0],
        "oldObject": versions[1],
    }
