"""Single changes by a user, as words for a trace; and whether what one does is left aside."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass

from app.engine.baselines import written_baselines
from app.wire.networkpolicy.render import render_policy
from tests.admission.sequences.guard import ADMIN, Guard
from tests.admission.sequences.store import Key, Object, labels_of

DEVELOPER = "developer"
MODE, OVERRIDE = "netpol-guard.iomete.com/mode", "netpol-guard.iomete.com/override"
WEAK = ("warn", "audit", "off")
FINALIZER = "tests.example/held"
_HEAD = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
_BOTH = ["Ingress", "Egress"]
_ANYWHERE = [{"ipBlock": {"cidr": "0.0.0.0/0"}}]
OPEN: Object = {"podSelector": {}, "policyTypes": _BOTH, "ingress": [{}], "egress": [{}]}
DENY: Object = {"podSelector": {}, "policyTypes": _BOTH}
BY_TEAM: Object = {
    "podSelector": {},
    "policyTypes": ["Ingress"],
    "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"team": "x"}}}]}],
}
BLOCKS: Object = {**DENY, "ingress": [{"from": _ANYWHERE}], "egress": [{"to": _ANYWHERE}]}
NOBODY: Object = {
    "podSelector": {
        "matchExpressions": [{"key": "app", "operator": op} for op in ("Exists", "DoesNotExist")]
    },
    "policyTypes": ["Ingress"],
}
"""What lets all in, nobody, namespaces by a label, addresses alone; and what selects no pod."""


@dataclass(frozen=True)
class Step:
    """What happened; ``is_aside``: it may cut, as ``Acts.is_aside`` says."""

    words: str
    is_aside: bool = False


class Acts:
    """What somebody may do to the store of a guard."""

    def __init__(self, guard: Guard) -> None:
        """Nothing is done yet."""
        self.guard = guard
        self.store = guard.store

    def create(
        self, user: str, key: Key, spec: Object, metadata: Object | None = None, *, dry_run: bool = False
    ) -> Step:
        """Create a policy."""
        made = policy(key, spec, **(metadata or {}))
        aside = self.is_aside(user, key[0], made, spec)
        done = self.store.create(made, user, dry_run=dry_run)
        return told(f"{user} creates {key} {spec} {metadata}", aside=aside, done=done, dry_run=dry_run)

    def write(self, user: str, key: Key, spec: Object, *, drops: bool = False, dry_run: bool = False) -> Step:
        """Give a policy another spec; ``drops``: and take its finalizers away."""
        if key not in self.store.policies:
            return Step(f"there is no {key}")

        def change(changed: Object) -> None:
            changed["spec"] = copy.deepcopy(spec)
            if drops:
                changed["metadata"]["finalizers"] = []

        aside = self.is_aside(user, key[0], self.store.policies[key], spec)
        done = self.store.update(key, change, user, dry_run=dry_run)
        return told(f"{user} writes {key} {spec}", aside=aside, done=done, dry_run=dry_run)

    def delete(self, user: str, key: Key, *, foreground: bool = False, dry_run: bool = False) -> Step:
        """Delete a policy."""
        if key not in self.store.policies:
            return Step(f"there is no {key}")
        aside = self.is_aside(user, key[0], self.store.policies[key])
        done = self.store.delete(key, user, foreground=foreground, dry_run=dry_run)
        return told(f"{user} deletes {key}", aside=aside, done=done, dry_run=dry_run)

    def metadata(self, user: str, key: Key, **members: object) -> Step:
        """Change metadata of a policy."""
        done = self.store.update(key, lambda changed: changed["metadata"].update(members), user)
        return told(f"{user} gives {key} {members}", done=done)

    def relabel(
        self, user: str, name: str, labels: dict[str, str], *, part: str = "", dry_run: bool = False
    ) -> Step:
        """Give a namespace other labels."""
        standing = self.store.namespaces.get(name)
        if standing is None:
            return Step(f"there is no {name}")
        aside = self.is_aside(user, name, standing)
        done = self.store.update_namespace(name, setting("labels", labels), user, part=part, dry_run=dry_run)
        return told(f"{user} labels {name} {labels}", aside=aside, done=done, dry_run=dry_run)

    def labels(self, name: str) -> dict[str, str]:
        """Return the labels of a namespace as they are."""
        return dict(labels_of(self.store.namespaces[name])) if name in self.store.namespaces else {}

    def baselines(self, namespace: str) -> list[Object]:
        """Return the baselines as bootstrap would write them now."""
        cluster = self.guard.cluster(self.guard.snapshot())
        return [json.loads(json.dumps(render_policy(made))) for made in written_baselines(cluster, namespace)]

    def owners(self) -> list[tuple[str, str]]:
        """Return the ConfigMaps that policies may be owned by, with their uids."""
        return sorted(self.store.owners.items())

    def weak(self) -> frozenset[str]:
        """Return the managed namespaces in which nothing is refused, as somebody who may has decided."""
        spaces = self.store.namespaces
        return frozenset(
            name
            for name in spaces
            if self.labels(name).get(MODE) in WEAK
            and self.store.is_managed(name)
            and name in self.store.licensed
        )

    def is_aside(self, user: str, namespace: str, counting: Object, spec: Object | None = None) -> bool:
        """Tell whether a change may cut if it is made: overridden, in a weak mode, or half of a pair.

        ``counting`` is the object whose annotation counts; ``spec`` what a policy is to say.
        """
        annotations = counting["metadata"].get("annotations") or {}
        is_overridden = user == ADMIN and OVERRIDE in annotations
        may_apply_half = user == ADMIN or not self.guard.setting.has_ledger
        is_half = spec is not None and any(spec == half["spec"] for half in self.baselines(namespace))
        return namespace in self.weak() or is_overridden or (is_half and may_apply_half)


def setting(member: str, value: dict[str, str]) -> Callable[[Object], None]:
    """Return what gives a namespace other labels or annotations."""

    def change(namespace: Object) -> None:
        namespace["metadata"][member] = dict(value)

    return change


def policy(key: Key, spec: Object, **metadata: object) -> Object:
    """Return a policy."""
    named = {"namespace": key[0], "name": key[1], **metadata}
    return {**_HEAD, "metadata": named, "spec": copy.deepcopy(spec)}


def owned_by(name: str, uid: str) -> list[Object]:
    """Return owner references to a ConfigMap."""
    return [{"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid}]


def told(words: str, *, done: bool, aside: bool = False, dry_run: bool = False) -> Step:
    """Return a step; what was refused, or a dry run, leaves nothing aside."""
    how = "done" if done else "not done"
    return Step(f"{words}: {how}{' (dry run)' * dry_run}", aside and done and not dry_run)
