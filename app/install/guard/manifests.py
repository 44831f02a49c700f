"""The guard as a workload: the shipped manifests, made to fit this cluster and what stands in it already.

The manifests are those of ``deploy/``; what is changed in them is the image, the declared sources in the
settings, and what an admin or the guard itself has set since: replicas, settings, ``failurePolicy``.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from app.engine.addresses import networks_of
from app.engine.cluster import Source
from app.engine.intervals import EMPTY
from app.errors import InputError
from app.install.dry_run import PlanStep
from app.install.policies.changes import Action
from app.install.ports import Store
from app.model.kinds import CONFIG_MAP, DEPLOYMENT, VALIDATING, Manifest, Reference
from app.names import (
    DOMAIN,
    FAILURE_POLICY_ANNOTATION,
    NAME,
    NAMESPACES_WEBHOOK,
    OURS,
    POLICIES_WEBHOOK,
    SETTINGS_CONFIG_MAP,
    SETTINGS_KEY,
    FailurePolicy,
)

CONFIGURATION = Reference(VALIDATING, NAME)
WORKLOAD = Reference(DEPLOYMENT, NAME, NAME)
SETTINGS = Reference(CONFIG_MAP, SETTINGS_CONFIG_MAP, NAME)
SETTINGS_ANNOTATION = f"{DOMAIN}/settings"
"""On the guard's Pods: which settings they were started with, so that other settings start other Pods."""


@dataclass(frozen=True, slots=True)
class GuardChoices:
    """The image to run, "" for the one that runs; the sources to declare; whether to take fields over."""

    image: str = ""
    declared: tuple[str, ...] = ()
    adopt: bool = False


def guard_steps(
    manifests: Iterable[Manifest], found: Mapping[Reference, Manifest], choices: GuardChoices
) -> tuple[PlanStep, ...]:
    """Return the steps that bring the guard into the cluster; ``found`` is what stands there already.

    Raises ``InputError`` where no image is given and none runs.
    """
    action = Action.ADOPT if choices.adopt else Action.WRITE
    made = fitted(manifests, found, choices)
    return tuple(PlanStep(Reference.of(manifest), action, "the guard", manifest) for manifest in made)


def fitted(
    manifests: Iterable[Manifest], found: Mapping[Reference, Manifest], choices: GuardChoices
) -> tuple[Manifest, ...]:
    """Return the manifests as they fit this cluster. Raises ``InputError`` where the image is not known."""
    made = [copy.deepcopy(manifest) for manifest in manifests]
    by_reference = {Reference.of(manifest): manifest for manifest in made}
    settings = _fit_settings(by_reference[SETTINGS], found.get(SETTINGS), choices.declared)
    _fit_workload(by_reference[WORKLOAD], found.get(WORKLOAD), choices.image, settings)
    _fit_configuration(by_reference[CONFIGURATION], found.get(CONFIGURATION))
    return tuple(made)


def _fit_settings(manifest: Manifest, there: Manifest | None, declared: Sequence[str]) -> str:
    """Keep the settings that stand, with ``declared`` sources written into them; return the text."""
    text: str = ((there or {}).get("data") or {}).get(SETTINGS_KEY, manifest["data"][SETTINGS_KEY])
    if declared and declared_in(text) != tuple(declared):
        settings = yaml.safe_load(text) or {}
        settings["apiServer"] = {**(settings.get("apiServer") or {}), "sources": list(declared)}
        text = yaml.safe_dump(settings, sort_keys=False)
    manifest["data"] = {SETTINGS_KEY: text}
    return text


def networks_in(sources: Iterable[Source]) -> tuple[str, ...]:
    """Return the CIDRs of declared sources, as the settings name them."""
    return tuple(str(network) for source in sources for network in networks_of(source.addresses or EMPTY))


def declared_in(text: str) -> tuple[str, ...]:
    """Return the sources that the settings declare; none where they cannot be read.

    >>> declared_in("apiServer: {sources: [10.20.0.10]}")
    ('10.20.0.10',)
    """
    try:
        settings: Any = yaml.safe_load(text)
    except yaml.YAMLError:
        return ()
    section = settings.get("apiServer") if isinstance(settings, dict) else None
    sources = section.get("sources") if isinstance(section, dict) else None
    return tuple(map(str, sources)) if isinstance(sources, list) else ()


def _fit_workload(manifest: Manifest, there: Manifest | None, image: str, settings: str) -> None:
    spec, old = manifest["spec"], (there or {}).get("spec") or {}
    container = spec["template"]["spec"]["containers"][0]
    standing = old.get("template", {}).get("spec", {}).get("containers", ())
    running = [container["image"] for container in standing]
    if not image and not running:
        raise InputError("--image", "required: no image is published; build one with the Dockerfile")
    container["image"] = image or running[0]
    spec["replicas"] = old.get("replicas", spec["replicas"])
    digest = hashlib.sha256(settings.encode()).hexdigest()[:16]
    spec["template"]["metadata"]["annotations"] = {SETTINGS_ANNOTATION: digest}


def _fit_configuration(manifest: Manifest, there: Manifest | None) -> None:
    """Keep what the guard has written; a new one is held at ``Ignore`` until the self-test has passed."""
    if there is None:
        manifest["metadata"]["annotations"] = {FAILURE_POLICY_ANNOTATION: FailurePolicy.IGNORE.value}
        return
    held = _annotation(there)
    if held:
        manifest["metadata"]["annotations"] = {FAILURE_POLICY_ANNOTATION: held}
    policies = {webhook["name"]: webhook.get("failurePolicy") for webhook in there.get("webhooks") or ()}
    for webhook in manifest["webhooks"]:
        webhook["failurePolicy"] = policies.get(webhook["name"]) or webhook["failurePolicy"]


def _annotation(configuration: Manifest) -> str:
    annotations = configuration["metadata"].get("annotations") or {}
    return str(annotations.get(FAILURE_POLICY_ANNOTATION, ""))


def is_held(configuration: Manifest | None) -> bool:
    """Tell whether the annotation keeps ``failurePolicy`` down."""
    return configuration is not None and _annotation(configuration) == FailurePolicy.IGNORE.value


def released(manifests: Iterable[Manifest], there: Manifest) -> Manifest:
    """Return the configuration without the annotation that holds it at ``Ignore``."""
    manifest = copy.deepcopy(next(shipped for shipped in manifests if Reference.of(shipped) == CONFIGURATION))
    _fit_configuration(manifest, there)
    manifest["metadata"].pop("annotations", None)
    return manifest


def is_armed(configuration: Manifest | None) -> bool:
    """Tell whether every webhook of ours fails closed and has a bundle."""
    webhooks = (configuration or {}).get("webhooks") or ()
    ours = [webhook for webhook in webhooks if webhook["name"] in (POLICIES_WEBHOOK, NAMESPACES_WEBHOOK)]
    return len(ours) == len((POLICIES_WEBHOOK, NAMESPACES_WEBHOOK)) and all(
        webhook.get("failurePolicy") == FailurePolicy.FAIL.value and webhook["clientConfig"].get("caBundle")
        for webhook in ours
    )


def found_objects(store: Store, manifests: Iterable[Manifest]) -> Mapping[Reference, Manifest]:
    """Return those objects of the guard's that stand in the cluster. Raises ``StateUnreadable``."""
    references = map(Reference.of, manifests)
    return {reference: there for reference in references if (there := store.get(reference)) is not None}


def foreign_problem(found: Mapping[Reference, Manifest]) -> str | None:
    """Return that a webhook configuration of our name is somebody else's, None where it is not."""
    there = found.get(CONFIGURATION)
    if there is None or OURS in (there["metadata"].get("labels") or {}).items():
        return None
    return (
        f"{CONFIGURATION} is there and not ours: it lacks the label {'='.join(OURS)}; find out whose it is"
        f" (kubectl get {VALIDATING.resource} {NAME} -o yaml), remove or rename it, and run this again"
    )
