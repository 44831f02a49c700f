"""A second opinion on verdicts: `github.com/mattfenwick/cyclonus`, asked through a small Go program of ours.

It is known to be wrong where rule 15 of `docs/design/semantics.md` says so (`NotIn` with an absent key, an
empty value required of an absent key). It takes policies only as an API server stores them (`policyTypes` and
`protocol` filled in), and knows namespaces by the labels given, `kubernetes.io/metadata.name` not excepted.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from tests.kube.binaries import Program, ensure

Json = Mapping[str, Any]


class CyclonusError(RuntimeError):
    """Cyclonus could not take the question, or ended; the message is its own."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether the destination's ingress rules, the source's egress rules, and both allow a flow."""

    ingress: bool
    egress: bool
    allowed: bool


class Cyclonus:
    """The running program; a context manager that builds it if need be, starts it and stops it again.

    with Cyclonus() as cyclonus:
        answers = cyclonus.ask(policies, flows)
    """

    def __enter__(self) -> Self:
        """Start the program."""
        self._process = subprocess.Popen(
            [ensure(Program.CYCLONUS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the program by closing its input, and wait for it."""
        self._process.__exit__(kind, error, trace)

    def ask(self, policies: Sequence[Json], flows: Sequence[Json]) -> list[Answer]:
        """Judge each flow under all the policies; raise CyclonusError if the program refuses the question.

        A flow has `source`, `destination`, `protocol`, `port` and `portName` (the name that the destination
        pod gives the port, or an empty text). Source and destination are a pod (`namespace`,
        `namespaceLabels`, `podLabels`, `ip`) or, without `namespace`, an address outside the cluster (`ip`).
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            message = "cyclonus was started without pipes"
            raise CyclonusError(message)
        stdin.write(json.dumps({"policies": list(policies), "flows": list(flows)}) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            message = f"cyclonus ended with exit code {self._process.wait()}"
            raise CyclonusError(message)
        answer = json.loads(line)
        if "error" in answer:
            raise CyclonusError(answer["error"])
        return [
            Answer(ingress, egress, allowed)
            for ingress, egress, allowed in zip(
                answer["ingress"], answer["egress"], answer["allowed"], strict=True
            )
        ]
