from __future__ import annotations

from pathlib import Path

import pytest

from app import __version__
from tests.image.dockerfile import Copy, Run, Stage, Unsupported, in_context, read_dockerfile
from tests.image.proof import BASE_ENVIRONMENT, ROOT, Check, prove, why_not
from tests.integration.conftest import cannot_run

LARGEST_MEGABYTES = 250


@pytest.fixture(scope="module")
def stages() -> list[Stage]:
    return read_dockerfile(ROOT / "Dockerfile", BASE_ENVIRONMENT)


def test_the_image_is_built_in_stages_on_one_pinned_base_and_runs_as_nobody_in_particular(
    stages: list[Stage],
) -> None:
    build, final = stages
    assert build.base == final.base
    assert not build.base.endswith(":latest")
    assert ":" in build.base
    assert final.user == "65532:65532"
    assert (final.entry, final.command) == (("netpol-guard",), ("serve",))
    assert final.steps == [Copy(["/opt/guard"], "/opt/guard", "build")]


def test_whatever_is_installed_is_installed_by_its_hash_or_built_here(stages: list[Stage]) -> None:
    commands = [step.command for stage in stages for step in stage.steps if isinstance(step, Run)]
    parts = [part for command in commands for part in command.split("&&") if "pip install" in part]
    assert parts
    assert all("--require-hashes" in part or "--no-index" in part for part in parts)


def test_everything_that_is_copied_gets_into_the_context_and_nothing_else(stages: list[Stage]) -> None:
    steps = [step for stage in stages for step in stage.steps]
    copied = [name for step in steps if isinstance(step, Copy) and not step.stage for name in step.sources]
    assert sorted(copied) == sorted(in_context(ROOT))


@pytest.mark.parametrize("line", ['SHELL ["sh"]', "COPY --chown=1:1 a b", "ONBUILD RUN true"])
def test_an_instruction_that_the_proof_does_not_know_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM base\n{line}\n")
    with pytest.raises(Unsupported):
        read_dockerfile(tmp_path / "Dockerfile", {})


@pytest.mark.slow
def test_the_steps_build_a_guard_that_serves_as_its_user_on_a_read_only_root() -> None:
    reason = why_not()
    if reason is not None:
        cannot_run(reason)
    done = prove(
        [
            Check(["netpol-guard", "--version"]),
            Check(["netpol-guard", "serve", "--embedded", "--once"]),
            Check(["python", "-c", "import app.shipped as s; print(len(s.guard_manifests()), 'manifests')"]),
            Check(["sh", "-c", "! python -m pip && ! python -c 'import setuptools' && id -u"]),
            Check(["du", "-sm", "/opt/guard"]),
        ]
    )
    assert done.returncode == 0, done.stderr[-3000:]
    version, *_, user, size = done.stdout.splitlines()
    assert version == f"netpol-guard {__version__}"
    assert "would cut managed namespaces" in done.stdout
    assert " manifests" in done.stdout
    assert user == "65532"
    assert int(size.split()[0]) < LARGEST_MEGABYTES
