"""What a write would change: the API server says it in a dry run, and a diff shows it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

import yaml

from app.errors import ChangeFailed
from app.install.policies.changes import Action, PolicyChange
from app.install.ports import Store
from app.model.kinds import NAMESPACE, DryRun, Manifest, Reference

_NOISE = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_DENIED = "denied the request"


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One object written or removed. ``after`` is what the API server would make of it.

    ``change`` is set for a policy whose effect on its namespace can be judged.
    """

    reference: Reference
    action: Action
    why: str
    manifest: Manifest | None = None
    before: Manifest | None = None
    after: Manifest | None = None
    change: PolicyChange | None = None

    @property
    def verb(self) -> str:
        """What is done to the object, in a word."""
        if self.action is Action.REMOVE:
            return "remove"
        if self.before is None:
            return "create"
        return "adopt" if self.action is Action.ADOPT else "change"

    @property
    def title(self) -> str:
        """The step in words: ``create NetworkPolicy one/iomete-ingress-egress``."""
        return f"{self.verb} {self.reference}"

    @property
    def is_idle(self) -> bool:
        """Whether the object is already as it should be."""
        if self.action is Action.REMOVE or self.before is None:
            return False
        after = self.after or self.manifest
        return after is not None and cleaned(self.before) == cleaned(after)

    def diff(self) -> tuple[str, ...]:
        """Return a unified diff of what stands and what would; of a new object, what is written."""
        if self.action is Action.REMOVE:
            return diff_lines(self.before, None)
        return diff_lines(self.before, self.manifest if self.before is None else self.after or self.manifest)


@dataclass(frozen=True, slots=True)
class DryRunResult:
    """Steps, and what stands in their way."""

    steps: tuple[PlanStep, ...] = ()
    problems: tuple[str, ...] = ()


def step_of(change: PolicyChange) -> PlanStep:
    """Return the step that makes ``change``."""
    manifest = None if change.action is Action.REMOVE else change.manifest
    before = None if change.before is None else change.before.manifest
    return PlanStep(change.reference, change.action, change.why, manifest, before, None, change)


def dry_run(store: Store, steps: Sequence[PlanStep]) -> DryRunResult:
    """Return the steps as the API server would carry them out, tried in dry runs; idle ones are left out."""
    done: list[PlanStep] = []
    problems = []
    for step in steps:
        new = (earlier.reference for earlier in done if earlier.before is None)
        coming = {reference.name for reference in new if reference.kind == NAMESPACE}
        try:
            # In a namespace that comes with an earlier step nothing can be tried, and nothing stands yet.
            done.append(step if step.reference.namespace in coming else _tried(store, step))
        except ChangeFailed as error:
            problems.append(_problem(error))
            done.append(step)
    return DryRunResult(tuple(step for step in done if not step.is_idle), tuple(problems))


def _tried(store: Store, step: PlanStep) -> PlanStep:
    if step.manifest is None:
        return step
    # What a policy replaces is known to its plan; of everything else only its name is.
    before = store.get(step.reference) if step.change is None else step.before
    try:
        written = store.apply(step.manifest, DryRun.ALL, force=step.action is Action.ADOPT)
    except ChangeFailed as error:
        # A guard that is up judges each dry run by the state of now, without the steps before it; the
        # simulation has judged them in their order.
        if step.change is not None and _DENIED in error.said:
            return step
        raise
    return replace(step, before=before, after=written.object)


def _problem(error: ChangeFailed) -> str:
    if error.status != HTTPStatus.CONFLICT:
        return str(error)
    return (
        f"could not {error.what}: another manager owns a field: {' '.join(error.said.split())}; "
        "take the field over with --adopt, or let that manager write it"
    )


def cleaned(manifest: Manifest) -> Manifest:
    """Return ``manifest`` without what the API server keeps for itself."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in _NOISE}
    annotations = metadata.pop("annotations", None) or {}
    if kept := {key: value for key, value in annotations.items() if key != _LAST_APPLIED}:
        metadata["annotations"] = kept
    rest = {key: value for key, value in manifest.items() if key not in ("metadata", "status")}
    version, kind = rest.pop("apiVersion", ""), rest.pop("kind", "")
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def as_yaml(manifest: Manifest) -> str:
    """Return a manifest as a person would write it."""
    return yaml.dump(manifest, Dumper=_Plain, sort_keys=False, default_flow_style=False)


class _Plain(yaml.SafeDumper):
    """YAML without anchors: the same value twice is written twice."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the library's signature
        return True


def diff_lines(before: Manifest | None, after: Manifest | None) -> tuple[str, ...]:
    """Return a unified diff of two objects, without header lines; empty where they are the same."""
    old, new = (
        [] if manifest is None else as_yaml(_sorted(cleaned(manifest))).splitlines()
        for manifest in (before, after)
    )
    lines = tuple(difflib.unified_diff(old, new, lineterm="", n=3))[2:]
    return lines if old and new else lines[1:]


def _sorted(manifest: Manifest) -> Manifest:
    """Return the members of ``spec`` and ``metadata`` in one order: a diff shows differences alone."""
    return {
        key: dict(sorted(value.items())) if isinstance(value, dict) else value
        for key, value in manifest.items()
    }
