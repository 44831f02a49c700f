"""Policies that ``check`` finds something in, or nothing, and the judgement of files that hold them."""

from __future__ import annotations

from collections.abc import Iterable

from app.engine.budget import Unlimited
from app.engine.cluster import Cluster
from app.engine.required_flows import Options
from app.lint.findings import LintReport
from app.lint.lint import Assumptions, Work, lint
from app.model.declared_sources import declared_source
from app.wire.text.files import Manifests

DENY = """\
# nobody gets in
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: default-deny
  namespace: data-plane
spec:
  podSelector: {}  # all
  policyTypes: [Ingress]
"""
ADDED = """\
  ingress:
    - from:
        - namespaceSelector:
            matchLabels:
              iomete.com/managed: "true"
"""
OPEN = DENY + "  ingress:\n  - {}\n"
UNKNOWN = DENY + "  ingress:\n  - to: []\n"


def judge(files: Iterable[Manifests], *api_servers: str) -> LintReport:
    """Return what is wrong with the files, taken for all policies of their namespaces."""
    assumptions = Assumptions(cluster=Cluster(sources=tuple(map(declared_source, api_servers))))
    documents = (document for file in files for document in file.documents)
    return lint(documents, assumptions, Work(Options(), Unlimited))
