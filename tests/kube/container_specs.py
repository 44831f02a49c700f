"""From a container in a Pod's manifest to what a container runtime is told: command, environment, mounts."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.kube.api import ApiClient
from tests.kube.container import ContainerSpec, Mount
from tests.kube.volumes import Volumes, field_of

ENTRY_POINT = "netpol-guard"
_VARIABLE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


@dataclass(frozen=True, slots=True)
class Image:
    """What an image is here: the command of its entry point, and the arguments where a Pod gives none."""

    entry: Sequence[str]
    arguments: Sequence[str] = ()


Images = Callable[[str], Image | None]
"""Finds an image by its name; None stands for one without a program."""


class ContainerSpecs:
    """Reads the containers of one Pod."""

    def __init__(
        self, client: ApiClient, pod: Mapping[str, Any], volumes: Volumes, api_server: tuple[str, int]
    ) -> None:
        """Nothing is read yet; `api_server` is what the Pod's programs are told of it."""
        self._client = client
        self._pod = pod
        self._volumes = volumes
        self._api_server = api_server

    def of(self, container: Mapping[str, Any], image: Image, over: Mapping[str, str]) -> ContainerSpec:
        """Return what runs the container; the variables `over` go before its own."""
        environment = {**self._environment(container), **over}
        mounts = [
            Mount(self._volumes.path(each["name"]), each["mountPath"], read_only=bool(each.get("readOnly")))
            for each in container.get("volumeMounts", ())
        ]
        security = {**self._pod["spec"].get("securityContext", {}), **container.get("securityContext", {})}
        return ContainerSpec(
            name=container["name"],
            hostname=self._pod["metadata"]["name"],
            command=[_expanded(word, environment) for word in _command(container, image)],
            environment=environment,
            mounts=mounts,
            security=security,
        )

    def _environment(self, container: Mapping[str, Any]) -> dict[str, str]:
        host, port = self._api_server
        environment = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": str(port)}
        for each in container.get("env", ()):
            source = each.get("valueFrom")
            value = self._value(source) if source else _expanded(each.get("value", ""), environment)
            environment[each["name"]] = value
        return environment

    def _value(self, source: Mapping[str, Any]) -> str:
        if "fieldRef" in source:
            return field_of(self._pod, source["fieldRef"]["fieldPath"])
        kind, resource = (
            ("secretKeyRef", "secrets") if "secretKeyRef" in source else ("configMapKeyRef", "configmaps")
        )
        namespace = self._pod["metadata"]["namespace"]
        path = f"/api/v1/namespaces/{namespace}/{resource}/{source[kind]['name']}"
        value = str(self._client.request("GET", path).json()["data"][source[kind]["key"]])
        return base64.b64decode(value).decode() if resource == "secrets" else value


def _command(container: Mapping[str, Any], image: Image) -> list[str]:
    """Return the command line: a Pod's `command` replaces an image's entry point, `args` its arguments."""
    given = list(container.get("command") or ())
    if not given:
        return [*image.entry, *(container.get("args") or image.arguments)]
    entry = image.entry if given[0] == ENTRY_POINT else given[:1]
    return [*entry, *given[1:], *container.get("args", ())]


def _expanded(text: str, environment: Mapping[str, str]) -> str:
    """Return the text with each `$(NAME)` replaced, where there is a variable of the name."""
    return _VARIABLE.sub(lambda found: environment.get(found[1], found[0]), text)
