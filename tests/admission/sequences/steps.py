"""Random single changes, by users with and without the right to override; some of them go somewhere."""

from __future__ import annotations

import copy
from collections.abc import Callable
from random import Random

from tests.admission.sequences.acts import (
    BLOCKS,
    DENY,
    DEVELOPER,
    FINALIZER,
    MODE,
    NOBODY,
    OPEN,
    OVERRIDE,
    WEAK,
    Acts,
    Step,
    owned_by,
    policy,
    setting,
    told,
)
from tests.admission.sequences.attacks import ATTACKS
from tests.admission.sequences.guard import ADMIN, Guard
from tests.admission.sequences.referee import SPACES
from tests.admission.sequences.store import MANAGED_LABEL, Key, Object
from tests.engine.universe import SMALL, Generator

NAMES = ("p0", "p1", "p2", "iomete-spark-operator", "iomete-ingress-egress")
_SPECS: dict[str, Object] = {"open": OPEN, "deny": DENY, "nobody": NOBODY, "blocks": BLOCKS}


class Steps:
    """Makes random steps against the store of a guard."""

    def __init__(self, chance: Random, guard: Guard) -> None:
        """Nothing is done yet."""
        self._chance = chance
        self._guard = guard
        self._store = guard.store
        self._acts = Acts(guard)
        self._making = Generator(chance, SMALL)
        self._attack: list[Callable[[], Step]] = []
        self.weak = self._acts.weak

    # -- how it begins -------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Make namespaces, a webhook and some policies, while nobody is asked."""
        store, chance = self._store, self._chance
        store.ask = lambda _: True
        for name in SPACES:
            managed = {MANAGED_LABEL: "true"} if name != "ns-c" or chance.random() < 0.3 else {}
            store.create_namespace(name, {**managed, **self._team()}, ADMIN)
        self._serve()
        store.owners = {"one": store.uid(), "two": store.uid()}
        self._guard.saw()
        for name in SPACES:
            for made in self._first_policies(name):
                store.create(made, ADMIN)
        store.ask = self._guard.admits
        self._guard.saw()
        if chance.random() < 0.5:
            self._attack = chance.choice(ATTACKS)(self._acts, chance.choice(("ns-a", "ns-a", "ns-b")))

    def _first_policies(self, namespace: str) -> list[Object]:
        chance, found = self._chance, []
        if chance.random() < 0.7:
            found += self._acts.baselines(namespace)
        if chance.random() < 0.4:
            found.append(policy((namespace, "p0"), OPEN))
        if chance.random() < 0.3:
            found.append(policy((namespace, "p1"), self._spec(namespace)))
        return found

    def _team(self) -> dict[str, str]:
        team = self._chance.choice((None, "x", "true", "zz"))
        return {} if team is None else {"team": team}

    def _serve(self) -> None:
        store, chance = self._store, self._chance
        port = {"name": "https", "port": 443, "targetPort": chance.choice((443, 80, "http"))}
        selector = {"app": chance.choice(("a", "a", "zz"))}
        metadata = {"name": "hook", "namespace": "ns-a"}
        store.service = {"metadata": metadata, "spec": {"selector": selector, "ports": [port]}}
        store.endpoints = chance.choice((80, 443))
        self._name_it()

    def _name_it(self) -> None:
        client = {"service": {"namespace": "ns-a", "name": "hook"}}
        webhook = {"name": "hook.example.test", "clientConfig": client}
        self._store.configuration = {"metadata": {"name": "hook"}, "webhooks": [webhook]}

    # -- one step ------------------------------------------------------------------------------------------

    def one(self) -> Step:
        """Take a step: the next of an attack, or any."""
        if self._attack and self._chance.random() < 0.7:
            step = self._attack.pop(0)()
        else:
            takes, weights = zip(*self._kinds(), strict=True)
            (take,) = self._chance.choices(takes, weights)
            step = take()
        self._guard.now_ += self._chance.choice((0.0, 1.0, 60.0))
        return step

    def _kinds(self) -> tuple[tuple[Callable[[], Step], int], ...]:
        return (
            (self._create, 14),
            (self._write, 12),
            (self._delete, 16),
            (self._delete_all, 6),
            (self._hold, 7),
            (self._let_go, 9),
            (self._own, 5),
            (self._orphan, 3),
            (self._annotate, 4),
            (self._label, 10),
            (self._label_and_manage, 2),
            (self._weaken, 4),
            (self._delete_namespace, 1),
            (self._create_namespace, 3),
            (self._change_service, 4),
            (self._change_configuration, 3),
            (self._change_endpoints, 2),
            (self._restart, 4),
        )

    def background(self) -> None:
        """Have the controllers do what is theirs."""
        if self._chance.random() < 0.7:
            self._store.collect_garbage()
        if self._chance.random() < 0.7:
            self._store.empty_namespaces()

    def _user(self) -> str:
        return ADMIN if self._chance.random() < 0.25 else DEVELOPER

    def _namespace(self) -> str:
        return self._chance.choice(("ns-a", "ns-a", "ns-a", "ns-b", "ns-b", "ns-c"))

    def _dry(self) -> bool:
        return self._chance.random() < 0.05

    def _some(self) -> Key | None:
        keys = sorted(self._store.policies)
        near = [key for key in keys if key[0] == "ns-a"]
        return self._chance.choice(near if near and self._chance.random() < 0.5 else keys) if keys else None

    def _spec(self, namespace: str) -> Object:
        kind = self._chance.choice(("any", "any", "half", "half", *_SPECS))
        if kind == "half" and (halves := self._acts.baselines(namespace)):
            spec: Object = self._chance.choice(halves)["spec"]
            return spec
        return copy.deepcopy(_SPECS[kind]) if kind in _SPECS else self._making.policy("p")["spec"]

    # -- policies ------------------------------------------------------------------------------------------

    def _create(self) -> Step:
        namespace, chance = self._namespace(), self._chance
        metadata: Object = {}
        if chance.random() < 0.3:
            metadata["finalizers"] = [FINALIZER]
        if chance.random() < 0.15:
            metadata["ownerReferences"] = self._references()
        if chance.random() < 0.15:
            metadata["annotations"] = {OVERRIDE: "a test"}
        key, spec = (namespace, chance.choice(NAMES)), self._spec(namespace)
        return self._acts.create(self._user(), key, spec, metadata, dry_run=self._dry())

    def _write(self) -> Step:
        key = self._some()
        if key is None:
            return Step("nothing to write")
        spec, standing = self._spec(key[0]), self._store.policies[key]["spec"]
        if self._chance.random() < 0.5:
            member = self._chance.choice(("ingress", "egress", "policyTypes", "podSelector"))
            kept = {name: value for name, value in standing.items() if name != member}
            neutral = {"podSelector": {}, "policyTypes": standing["policyTypes"]}
            spec = {**neutral, **kept, **({member: spec[member]} if member in spec else {})}
        drops = self._chance.random() < 0.2
        return self._acts.write(self._user(), key, spec, drops=drops, dry_run=self._dry())

    def _delete(self) -> Step:
        key = self._some()
        if key is None:
            return Step("nothing to delete")
        foreground = self._chance.random() < 0.15
        return self._acts.delete(self._user(), key, foreground=foreground, dry_run=self._dry())

    def _delete_all(self) -> Step:
        """Delete the policies of a namespace as a collection; which passes, passes."""
        namespace, user = self._namespace(), self._user()
        keys = [key for key in self._store.policies if key[0] == namespace]
        self._chance.shuffle(keys)
        done, is_aside = [], False
        for key in keys:
            may_be_aside = self._acts.is_aside(user, namespace, self._store.policies[key])
            if self._store.delete(key, user, nameless=True):
                done.append(key[1])
                is_aside = is_aside or may_be_aside
        return Step(f"{user} deletes all of {namespace}: {done}", is_aside)

    def _hold(self) -> Step:
        return self._metadata(finalizers=[FINALIZER])

    def _let_go(self) -> Step:
        policies = sorted(self._store.policies.items())
        held = [key for key, found in policies if found["metadata"].get("finalizers")]
        if not held:
            return Step("nothing is held")
        return self._acts.metadata(self._user(), self._chance.choice(held), finalizers=[])

    def _own(self) -> Step:
        return self._metadata(ownerReferences=self._references())

    def _references(self) -> list[Object]:
        return owned_by(*self._chance.choice(self._acts.owners() or [("gone", "gone")]))

    def _orphan(self) -> Step:
        if not self._store.owners:
            return Step("no owner is left")
        name = self._chance.choice(sorted(self._store.owners))
        del self._store.owners[name]
        return Step(f"the owner {name} is deleted")

    def _annotate(self) -> Step:
        annotations: dict[str, str] = self._chance.choice(({}, {OVERRIDE: "a test"}))
        if self._chance.random() < 0.7:
            return self._metadata(annotations=annotations)
        name, user = self._namespace(), self._user()
        done = self._store.update_namespace(name, setting("annotations", annotations), user)
        return told(f"{user} annotates {name} {annotations}", done=done)

    def _metadata(self, **members: object) -> Step:
        key = self._some()
        return (
            Step("no policy is there") if key is None else self._acts.metadata(self._user(), key, **members)
        )

    # -- namespaces ----------------------------------------------------------------------------------------

    def _label(self) -> Step:
        """Change labels that policies select by, or take the managed one away."""
        name, labels = self._namespace(), self._team()
        mode = self._acts.labels(name).get(MODE)
        if self._chance.random() < 0.8:
            labels[MANAGED_LABEL] = "true"
        return self._relabel(name, labels if mode is None else {**labels, MODE: mode})

    def _label_and_manage(self) -> Step:
        """Label the namespace that is not managed: as such, or with a weak mode, or both at once."""
        managed, mode = {MANAGED_LABEL: "true"}, {MODE: self._chance.choice(WEAK)}
        standing = self._acts.labels("ns-c")
        return self._relabel(
            "ns-c", {**standing, **self._chance.choice((managed, mode, {**managed, **mode}))}
        )

    def _weaken(self) -> Step:
        name = self._namespace()
        labels = self._acts.labels(name)
        labels.pop(MODE, None)
        mode = self._chance.choice((*WEAK, "enforce", None))
        return self._relabel(name, labels if mode is None else {**labels, MODE: mode})

    def _relabel(self, name: str, labels: dict[str, str]) -> Step:
        part = self._chance.choice(("", "", "status", "finalize"))
        return self._acts.relabel(self._user(), name, labels, part=part, dry_run=self._dry())

    def _create_namespace(self) -> Step:
        user, mode = self._user(), self._chance.choice((None, None, "off"))
        missing = [name for name in SPACES if name not in self._store.namespaces]
        if not missing:
            return Step("all namespaces are there")
        labels = {MANAGED_LABEL: "true", **self._team(), **({} if mode is None else {MODE: mode})}
        done = self._store.create_namespace(missing[0], labels, user)
        return told(f"{user} creates {missing[0]} {labels}", done=done)

    def _delete_namespace(self) -> Step:
        name = self._chance.choice(("ns-b", "ns-c"))
        return told(f"{name} is deleted", done=self._store.delete_namespace(name))

    # -- the webhook, and the guard ------------------------------------------------------------------------

    def _change_service(self) -> Step:
        store = self._store
        if store.service is not None and self._chance.random() < 0.7:
            store.service = store.endpoints = None
            return Step("the Service is deleted")
        configuration = store.configuration
        self._serve()
        store.configuration = configuration
        return Step(f"the Service is written: {self._store.service}, endpoints at {self._store.endpoints}")

    def _change_configuration(self) -> Step:
        if self._store.configuration is None:
            self._name_it()
            return Step("the configuration is created")
        self._store.configuration = None
        return Step("the configuration is deleted")

    def _change_endpoints(self) -> Step:
        is_served = self._store.service is not None
        self._store.endpoints = self._chance.choice((None, 80, 443)) if is_served else None
        return Step(f"endpoints: {self._store.endpoints}")

    def _restart(self) -> Step:
        self._guard.restart()
        return Step("the guard is restarted")
