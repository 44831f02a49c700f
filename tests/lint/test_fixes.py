"""Random policy sets, mended as ``check --fix`` does it: nothing that has a fix is left, and all have one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from random import Random

import pytest
import yaml

from app.engine.budget import Unlimited
from app.engine.cluster import Cluster
from app.engine.requirements import Options
from app.lint.findings import LintReport
from app.lint.fixing import mend
from app.lint.lint import Assumptions, Work, lint
from app.model.declared_sources import declared_source
from app.wire.text.documents import read_documents
from app.wire.text.files import Manifests
from tests.engine.universe import Generator

HEAD = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}


def random_file(chance: Random) -> Manifests:
    """Return one to five random policies of one namespace, as PyYAML writes them."""
    make = Generator(chance)
    policies = [{**make.policy(f"p{one}"), **HEAD} for one in range(chance.randint(1, 5))]
    text = "---\n".join(yaml.safe_dump(json.loads(json.dumps(one))) for one in policies)
    return Manifests("all.yaml", text, read_documents(text, "all.yaml"))


def judge(files: Iterable[Manifests]) -> LintReport:
    assumptions = Assumptions(cluster=Cluster(sources=(declared_source("10.20.0.10"),)))
    documents = (document for one in files for document in one.documents)
    return lint(documents, assumptions, Work(Options(), Unlimited))


@pytest.mark.parametrize("seed", range(8))
def test_every_finding_of_random_policies_is_mended(seed: int) -> None:
    chance = Random(seed)
    for _ in range(5):
        file = random_file(chance)
        done = mend([file], judge([file]), judge)
        assert done.problems == ()
        assert done.report.findings == ()
