"""Namespaces by required flows: what is open, what hangs by a thread, what is lost, with a witness."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from app.doctor.context import Context
from app.doctor.findings import Report, Severity
from app.doctor.losses import loss_findings, severity_of
from app.doctor.verdicts import Verdict
from app.engine.requirements import FlowId


class Condition(Enum):
    """How a flow of a namespace stands."""

    OPEN = "open"
    AT_RISK = "at risk"
    LOST = "lost"
    NONE = "not needed"
    UNKNOWN = "not known"


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
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions of all flows."""
        return tuple(one.condition for one in self.cells)

    @property
    def is_fine(self) -> bool:
        """Whether everything that is needed is open."""
        return all(one in (Condition.OPEN, Condition.NONE) for one in self.conditions)


def matrix_of(context: Context, report: Report) -> tuple[Row, ...]:
    """Return a row for each managed namespace that was looked at, those with losses first."""
    commands = {
        one.namespace: one.repair.command
        for one in reversed(report.findings)
        if one.namespace and one.repair is not None and one.severity.counts
    }
    names = sorted(one for one in context.verdicts.guarded if context.includes(one))
    rows = [_row(context.verdicts.of(name), commands.get(name, "")) for name in names]
    return tuple(sorted(rows, key=lambda one: (one.is_fine, _gravity(one), one.namespace)))


def _gravity(row: Row) -> int:
    order = (Condition.LOST, Condition.UNKNOWN, Condition.AT_RISK, Condition.OPEN, Condition.NONE)
    return min((order.index(one) for one in row.conditions), default=0)


def _row(verdict: Verdict, command: str) -> Row:
    cells = tuple(_cell(verdict, flow) for flow in FlowId)
    row = Row(verdict.namespace, cells)
    return row if row.is_fine else Row(verdict.namespace, cells, command)


def _cell(verdict: Verdict, flow: FlowId) -> Cell:
    if not verdict.is_known:
        return Cell(flow, Condition.UNKNOWN)
    if all(one.id is not flow for one in verdict.flows):
        return Cell(flow, Condition.NONE)
    losses = [one for one in verdict.losses if one.flow.id is flow]
    if not losses:
        return Cell(flow, Condition.OPEN)
    evidence = tuple(
        sentence for one in loss_findings(losses, verdict.policies) for sentence in (one.title, *one.evidence)
    )
    condition = Condition.LOST if severity_of(losses) is Severity.ERROR else Condition.AT_RISK
    return Cell(flow, condition, evidence)
