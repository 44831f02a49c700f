from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.shipped import CHANGES, DEPLOY, SAMPLE, guard_manifests

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("app", "deploy", "pyproject.toml", "README.md", "LICENSE")
ASK = """
import json
from app.shipped import CHANGES, SAMPLE, guard_manifests
names = [sorted(file.name for file in folder.glob("*.yaml")) for folder in (CHANGES, SAMPLE)]
print(json.dumps([guard_manifests(), names]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that a wheel, built from what git has, was installed into."""
    sources, wheels, installed = (
        tmp_path_factory.mktemp(name) for name in ("sources", "wheels", "installed")
    )
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, sources / name, symlinks=True, ignore=ignore)
        else:
            shutil.copy(ROOT / name, sources / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    alone = ["--no-deps", "--no-index"]
    subprocess.run(
        [*pip, "wheel", *alone, "--no-build-isolation", "--wheel-dir", wheels, "."], cwd=sources, check=True
    )
    subprocess.run([*pip, "install", *alone, "--target", installed, *wheels.glob("*.whl")], check=True)
    return installed


def test_an_installed_wheel_has_the_same_manifests_as_the_checkout(installed: Path) -> None:
    asked = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=installed,
        env={"PYTHONPATH": str(installed)},
        check=True,
        capture_output=True,
        text=True,
    )
    manifests, names = json.loads(asked.stdout)
    assert manifests == guard_manifests()
    assert names == [sorted(file.name for file in folder.glob("*.yaml")) for folder in (CHANGES, SAMPLE)]
    assert DEPLOY.is_relative_to(ROOT)


def test_an_installed_wheel_holds_nothing_but_the_program(installed: Path) -> None:
    folders = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert folders - {"bin"} == {"app"}
