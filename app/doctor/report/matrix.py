"""Namespaces by required flows: what is open, what hangs by a thread, what is lost, with a witness."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.doctor.context import Context
from app.doctor.findings import Report
from app.doctor.losses import Condition, condition_of, loss_findings
from app.doctor.verdicts import NamespaceVerdict
from app.engine.required_flows import FlowId


@dataclass(frozen=True, slots=True)
class Cell:
    """One flow of one namespace; ``evidence`` are the sentences of the loss, first what is cut."""

    flow: FlowId
    condition: Condition
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One namespace; ``command`` repairs what is lost, empty where nothing is."""

    namespace: str
    cells: tuple[Cell, ...]
    command: str = ""

    @property
    def worst(self) -> Condition:
        """The worst condition of all flows."""
        return max((cell.condition for cell in self.cells), key=lambda condition: condition.rank)

    @property
    def is_fine(self) -> bool:
        """Whether everything that is needed is open."""
        return self.worst in (Condition.OPEN, Condition.NONE)


def matrix_of(context: Context, report: Report) -> tuple[Row, ...]:
    """Return a row for each managed namespace that was looked at, those with losses first."""
    commands = {
        finding.namespace: finding.repair.command
        for finding in reversed(report.findings)
        if finding.namespace and finding.repair is not None and finding.severity.counts
    }
    names = sorted(name for name in context.verdicts.guarded if context.includes(name))
    rows = [_row(context.verdicts.of(name), commands.get(name, "")) for name in names]
    return tuple(sorted(rows, key=lambda row: (row.is_fine, -row.worst.rank, row.namespace)))


def _row(verdict: NamespaceVerdict, command: str) -> Row:
    row = Row(verdict.namespace, tuple(_cell(verdict, flow) for flow in FlowId), command)
    return replace(row, command="") if row.is_fine else row


def _cell(verdict: NamespaceVerdict, flow: FlowId) -> Cell:
    if not verdict.is_known:
        return Cell(flow, Condition.UNKNOWN)
    if all(required.id is not flow for required in verdict.flows):
        return Cell(flow, Condition.NONE)
    losses = [loss for loss in verdict.losses if loss.flow.id is flow]
    findings = loss_findings(losses, verdict.policies)
    evidence = (sentence for finding in findings for sentence in (finding.title, *finding.evidence))
    return Cell(flow, condition_of(losses), tuple(evidence))
