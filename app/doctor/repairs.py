"""How a finding is repaired: the command that a person types, and the same as steps that ``--fix`` takes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.engine.policy import Policy
from app.model.kinds import DEPLOYMENT, NAMESPACE, NETWORK_POLICY, Manifest, Reference
from app.wire.networkpolicy.render import render_policy


@dataclass(frozen=True, slots=True)
class MergePatch:
    """A merge patch (RFC 7386) on an object."""

    target: Reference
    patch: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class JsonPatch:
    """A JSON patch (RFC 6902) on an object."""

    target: Reference
    patch: Sequence[Manifest]


@dataclass(frozen=True, slots=True)
class Apply:
    """An object that is to be as the manifest says."""

    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Baselines:
    """Both baselines, into a namespace, without a moment in which required traffic is cut.

    ``allow`` are namespaces that a policy of its own is to let in.
    """

    namespace: str
    allow: tuple[str, ...] = ()


RepairStep = MergePatch | JsonPatch | Apply | Baselines


@dataclass(frozen=True, slots=True)
class Repair:
    """What to do: in words, as a command, and as a step; without a step only a person can do it."""

    words: str
    command: str = ""
    step: RepairStep | None = None


def baselines(namespace: str) -> Repair:
    """Return the repair that brings both baselines into ``namespace``."""
    return Repair(
        f"write both baselines into {namespace}",
        f"netpol-guard bootstrap --baselines-only -n {namespace}",
        Baselines(namespace),
    )


def allowed(namespace: str, peer: str) -> Repair:
    """Return the repair that lets the pods of namespace ``peer`` into ``namespace``."""
    return Repair(
        f"let {peer} into {namespace}, by a policy of its own",
        f"netpol-guard bootstrap --baselines-only -n {namespace} --allow-namespace {peer}",
        Baselines(namespace, (peer,)),
    )


def restored(policy: Policy) -> Repair:
    """Return the repair that gives an existing policy the spec of ``policy``, rules and all."""
    patch = [{"op": "replace", "path": "/spec", "value": render_policy(policy)["spec"]}]
    target = Reference(NETWORK_POLICY, policy.name, policy.namespace)
    return json_patch(f"give {policy.name} in {policy.namespace} its documented text", target, patch)


def applied(words: str, policy: Policy) -> Repair:
    """Return the repair that adds a policy."""
    manifest = render_policy(policy)
    command = f"kubectl apply -f - <<'EOF'\n{json.dumps(manifest)}\nEOF"
    return Repair(words, command, Apply(manifest))


def labelled(namespace: str, key: str, value: str) -> Repair:
    """Return the repair that sets a label of a namespace."""
    return Repair(
        f"label namespace {namespace}",
        f"kubectl label namespace {namespace} --overwrite {key}={value}",
        MergePatch(Reference(NAMESPACE, namespace), {"metadata": {"labels": {key: value}}}),
    )


def unlabelled(namespace: str, key: str) -> Repair:
    """Return the repair that takes a label of a namespace away."""
    return Repair(
        f"take the label {key} from namespace {namespace}",
        f"kubectl label namespace {namespace} {key}-",
        MergePatch(Reference(NAMESPACE, namespace), {"metadata": {"labels": {key: None}}}),
    )


def scaled(namespace: str, deployment: str, replicas: int) -> Repair:
    """Return the repair that sets the number of a Deployment's pods."""
    return Repair(
        f"run {replicas} pod(s) of Deployment {namespace}/{deployment}",
        f"kubectl scale deployment {deployment} -n {namespace} --replicas={replicas}",
        MergePatch(Reference(DEPLOYMENT, deployment, namespace), {"spec": {"replicas": replicas}}),
    )


def json_patch(words: str, target: Reference, patch: Sequence[Manifest]) -> Repair:
    """Return the repair that is a JSON patch, with the ``kubectl patch`` line that does the same."""
    place = f" -n {target.namespace}" if target.namespace else ""
    text = shlex.quote(json.dumps(patch, separators=(",", ":")))
    command = f"kubectl patch {target.kind.name.lower()} {target.name}{place} --type=json -p {text}"
    return Repair(words, command, JsonPatch(target, patch))


GUARD_AGAIN = Repair("install it (again)", "netpol-guard bootstrap --image IMAGE")
"""To run bootstrap again, which completes whatever is incomplete."""
