"""Who may talk to the API server of the tests: bearer tokens and a kubeconfig for each user."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

ADMIN = "admin"
DEVELOPER = "developer"
READONLY = "readonly"
CONTROLLER_MANAGER = "system:kube-controller-manager"

GROUPS = {
    ADMIN: ("system:masters",),
    DEVELOPER: ("developers",),
    READONLY: ("viewers",),
    CONTROLLER_MANAGER: (),
}
"""Every user and their groups; `rbac.yaml` says what the groups may do."""


class Accounts:
    """The users' tokens, made anew for each control plane, and the files that carry them."""

    def __init__(self, folder: Path) -> None:
        """Make the tokens and write them into the folder as the API server's `--token-auth-file`."""
        self._folder = folder
        self._tokens = {user: secrets.token_urlsafe(24) for user in GROUPS}
        self.token_file = folder / "tokens.csv"
        rows = [f'{token},{user},{user},"{",".join(GROUPS[user])}"' for user, token in self._tokens.items()]
        _write_private(self.token_file, "\n".join(rows) + "\n")

    def token(self, user: str) -> str:
        """Return the user's bearer token; KeyError for somebody unknown."""
        return self._tokens[user]

    def write_kubeconfig(self, name: str, url: str, ca_file: Path, *, token: str | None = None) -> Path:
        """Write a kubeconfig for the API server at url, as the user of that name or for the token given.

        The certificate authority is named by its file, so the kubeconfig works from any folder.
        """
        path = self._folder / f"{name.replace(':', '-').replace('/', '-')}.kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "tests", "cluster": {"server": url, "certificate-authority": str(ca_file)}}
            ],
            "users": [{"name": name, "user": {"token": token or self.token(name)}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": name}}],
            "current-context": "tests",
        }
        _write_private(path, json.dumps(config, indent=2))  # JSON is YAML
        return path


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
