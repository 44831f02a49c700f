"""Fixes as ``check --fix`` writes them: nothing that has a fix is left, and nothing else is touched."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
import yaml

from app.errors import InputError
from app.lint.findings import LintReport
from app.lint.fixing import differences, mend
from app.wire.text.documents import read_documents
from app.wire.text.files import Manifests, read_manifests, write
from tests.engine.universe import Generator
from tests.lint.policies import ADDED, DENY, OPEN, judge

HEAD = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}


def random_file(chance: Random) -> Manifests:
    """Return one to five random policies of one namespace, as PyYAML writes them."""
    make = Generator(chance)
    policies = [{**make.policy(f"p{number}"), **HEAD} for number in range(chance.randint(1, 5))]
    text = "---\n".join(yaml.safe_dump(json.loads(json.dumps(policy))) for policy in policies)
    return Manifests("all.yaml", text, read_documents(text, "all.yaml"))


def with_webhooks(files: Sequence[Manifests]) -> LintReport:
    return judge(files, "10.20.0.10")


@pytest.mark.parametrize("seed", range(8))
def test_every_finding_of_random_policies_is_mended(seed: int) -> None:
    chance = Random(seed)
    for _ in range(5):
        file = random_file(chance)
        done = mend([file], with_webhooks([file]), with_webhooks)
        assert done.problems == ()
        assert done.report.findings == ()


@pytest.fixture
def deny(tmp_path: Path) -> Path:
    file = tmp_path / "deny.yaml"
    file.write_text(DENY)
    return file


def fix(*paths: Path) -> tuple[str, ...]:
    """Write the fixes into the files, and return what was done."""
    files = read_manifests(map(str, paths))
    mended = mend(files, judge(files), judge)
    write(files, mended.files)
    return mended.done


def test_the_fix_is_written_and_said_and_the_mode_stays(deny: Path) -> None:
    deny.chmod(0o640)
    (done,) = fix(deny)
    assert done == (
        f"{deny}:5: NetworkPolicy default-deny: "
        "add an ingress rule for every pod of managed namespaces, all ports"
    )
    assert deny.read_text() == DENY + ADDED
    assert stat.S_IMODE(deny.stat().st_mode) == 0o640
    assert list(deny.parent.iterdir()) == [deny]


def test_a_second_run_changes_nothing(deny: Path) -> None:
    fix(deny)
    before = deny.stat()
    assert fix(deny) == ()
    assert deny.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("text", [DENY, DENY.rstrip("\n")])
def test_the_diff_is_one_that_patch_takes(deny: Path, text: str) -> None:
    deny.write_text(text)
    files = read_manifests([str(deny)])
    patch = "".join(differences(files, mend(files, judge(files), judge).files))
    subprocess.run(["patch", "-p0", str(deny)], input=patch, text=True, check=True, capture_output=True)
    assert judge(read_manifests([str(deny)])).findings == ()


def test_several_policies_of_several_files_are_mended_and_others_left_alone(tmp_path: Path) -> None:
    two = tmp_path / "two.yaml"
    two.write_text(
        "---\n".join(
            DENY.replace("podSelector: {}", f"podSelector: {{matchLabels: {{app: {name}}}}}").replace(
                "default-deny", name
            )
            for name in ("a", "b")
        )
    )
    listed = tmp_path / "list.json"
    spec = {"podSelector": {"matchLabels": {"app": "c"}}, "policyTypes": ["Ingress", "Egress"]}
    metadata = {"name": "c", "namespace": "data-plane"}
    items = [{"kind": "Secret", "apiVersion": "v1"}, {**HEAD, "metadata": metadata, "spec": spec}]
    listed.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2))
    other = tmp_path / "other.yaml"
    other.write_text("kind: ConfigMap\napiVersion: v1\n")
    fix(tmp_path)
    assert judge(read_manifests([str(tmp_path)])).findings == ()
    assert two.read_text().count(ADDED) == 2
    assert json.loads(listed.read_text())["items"][0] == items[0]
    assert other.read_text() == "kind: ConfigMap\napiVersion: v1\n"


def test_a_link_is_followed_and_stays_a_link(deny: Path) -> None:
    link = deny.parent / "link.yaml"
    link.symlink_to(deny.name)
    fix(link)
    assert link.is_symlink()
    assert deny.read_text() == DENY + ADDED


def test_a_file_that_somebody_else_changed_meanwhile_is_not_written(deny: Path) -> None:
    files = read_manifests([str(deny)])
    mended = mend(files, judge(files), judge)
    deny.write_text(OPEN)
    with pytest.raises(InputError, match="was changed by somebody else meanwhile"):
        write(files, mended.files)
    assert deny.read_text() == OPEN


def test_a_folder_that_cannot_be_written_to_is_said_and_nothing_left_behind(
    deny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.replace", refused)
    with pytest.raises(InputError, match=f"{deny}: cannot be written: Permission denied"):
        fix(deny)
    assert [file.name for file in deny.parent.iterdir()] == ["deny.yaml"]
    assert deny.read_text() == DENY
