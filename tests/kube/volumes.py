"""The volumes of a Pod as files, written the way a kubelet does: whole versions, swapped by one rename.

A volume's folder has a link `..data` to the folder of the current version, and a link `NAME -> ..data/NAME`
for each file. So a program that reads two files may see two versions, as in a real cluster, but never half a
file.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.kube.api import ApiClient, Send

Files = dict[str, bytes]
_DEFAULT_MODE = 0o644


class VolumeMissingError(RuntimeError):
    """Something that a volume needs does not exist (yet); the message says what."""


class Volumes:
    """All volumes of one Pod."""

    def __init__(self, client: ApiClient, pod: Mapping[str, Any], folder: Path) -> None:
        """Nothing is written yet."""
        self._client = client
        self._pod = pod
        self._folder = folder
        self._namespace = str(pod["metadata"]["namespace"])
        self._group = int(pod["spec"].get("securityContext", {}).get("fsGroup", 0))
        self._written: dict[str, Files] = {}
        self._tokens: dict[str, bytes] = {}
        self._send: Send = client.request

    def path(self, name: str) -> Path:
        """Return the folder of the volume."""
        return self._folder / name

    def refresh(self) -> None:
        """Bring every volume up to date; raise VolumeMissingError or OSError if one cannot be."""
        volumes = self._pod["spec"].get("volumes", ())
        if volumes:
            with self._client.kept() as self._send:
                self._refresh(volumes)

    def _refresh(self, volumes: Sequence[Mapping[str, Any]]) -> None:
        for volume in volumes:
            name = volume["name"]
            self.path(name).mkdir(parents=True, exist_ok=True)
            if "emptyDir" in volume:
                os.chown(self.path(name), -1, self._group)
                self.path(name).chmod(0o2777)
                continue
            files, mode = self._read(volume)
            if self._written.get(name) != files:
                _swap(self.path(name), files, mode, self._group)
                self._written[name] = files

    def _read(self, volume: Mapping[str, Any]) -> tuple[Files, int]:
        readers: dict[str, Callable[[Mapping[str, Any]], Files]] = {
            "secret": lambda source: self._object("secrets", source["secretName"], source),
            "configMap": lambda source: self._object("configmaps", source["name"], source),
            "projected": self._projected,
            "downwardAPI": self._downward,
        }
        for kind, read in readers.items():
            if kind in volume:
                return read(volume[kind]), volume[kind].get("defaultMode", _DEFAULT_MODE)
        raise VolumeMissingError(f"no volume of this kind here: {volume}")

    def _projected(self, projected: Mapping[str, Any]) -> Files:
        files: Files = {}
        for source in projected["sources"]:
            for kind, value in source.items():
                match kind:
                    case "serviceAccountToken":
                        files[value["path"]] = self._token(value)
                    case "configMap":
                        files.update(self._object("configmaps", value["name"], value))
                    case "secret":
                        files.update(self._object("secrets", value["name"], value))
                    case "downwardAPI":
                        files.update(self._downward(value))
                    case _:
                        raise VolumeMissingError(f"no projection of this kind here: {source}")
        return files

    def _object(self, resource: str, name: str, source: Mapping[str, Any]) -> Files:
        answer = self._send("GET", f"/api/v1/namespaces/{self._namespace}/{resource}/{name}")
        if not answer.ok:
            if source.get("optional"):
                return {}
            raise VolumeMissingError(f"{resource} {self._namespace}/{name}: {answer.message}")
        content = answer.json()
        data = content.get("data") or {}
        if resource == "secrets":
            files = {key: base64.b64decode(value) for key, value in data.items()}
        else:
            files = {key: value.encode() for key, value in data.items()}
            binary = content.get("binaryData") or {}
            files.update({key: base64.b64decode(value) for key, value in binary.items()})
        items = source.get("items")
        if items is None:
            return files
        return {each["path"]: files[each["key"]] for each in items if each["key"] in files}

    def _downward(self, downward: Mapping[str, Any]) -> Files:
        return {
            each["path"]: field_of(self._pod, each["fieldRef"]["fieldPath"]).encode()
            for each in downward["items"]
        }

    def _token(self, source: Mapping[str, Any]) -> bytes:
        """Return the Pod's token; it is asked for once, as it outlives the test run."""
        audience = source.get("audience", "")
        if audience not in self._tokens:
            account = self._pod["spec"]["serviceAccountName"]
            path = f"/api/v1/namespaces/{self._namespace}/serviceaccounts/{account}/token"
            metadata = self._pod["metadata"]
            bound = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
            spec = {
                "audiences": [audience] if audience else None,
                "boundObjectRef": bound,
                "expirationSeconds": source.get("expirationSeconds", 3607),
            }
            answer = self._send("POST", path, {"spec": spec})
            if not answer.ok:
                raise VolumeMissingError(f"token of {self._namespace}/{account}: {answer.message}")
            self._tokens[audience] = str(answer.json()["status"]["token"]).encode()
        return self._tokens[audience]


def field_of(pod: Mapping[str, Any], path: str) -> str:
    """Return a field of the Pod by the path that the downward API uses: `metadata.labels['app']`."""
    if path.endswith("']"):
        path, _, key = path.removesuffix("']").partition("['")
        return str(_walk(pod, path).get(key, ""))
    found = _walk(pod, path)
    if isinstance(found, dict):
        return "\n".join(f"{key}={json.dumps(value)}" for key, value in sorted(found.items()))
    return str(found)


def _walk(pod: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - JSON
    found: Any = pod
    for part in path.split("."):
        if part == "podIPs":
            return ",".join(each["ip"] for each in found.get("podIPs", ()))
        found = found.get(part, {})
    return "" if found == {} else found


def _swap(folder: Path, files: Files, mode: int, group: int) -> None:
    """Write a new version of the files and make it the current one, as the kubelet's AtomicWriter does."""
    version = folder / f"..{secrets.token_hex(6)}"
    for name, content in files.items():
        path = version / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        # With an fsGroup, the group may read what the owner may.
        path.chmod(mode | (mode & 0o600) >> 3 if group else mode)
        os.chown(path, -1, group)
    version.mkdir(exist_ok=True)
    data = folder / "..data"
    before = data.resolve() if data.is_symlink() else None
    fresh = folder / "..data_tmp"
    fresh.symlink_to(version.name)
    fresh.rename(data)
    tops = {Path(name).parts[0] for name in files}
    for top in tops:
        if not (folder / top).is_symlink():
            (folder / top).symlink_to(Path("..data") / top)
    for each in folder.iterdir():
        if not each.name.startswith("..") and each.name not in tops:
            each.unlink()
    if before is not None:
        shutil.rmtree(before, ignore_errors=True)
