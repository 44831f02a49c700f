"""Denials of what would cut required flows: which, by what, and how to mend it.

What is told about one lost flow is in ``app.engine.sentences``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.admission.outcome import PATCH, OutcomeKind, PolicyChange, Reason, ReviewOutcome
from app.engine.cluster import MANAGED, MANAGED_LABEL
from app.engine.fix import Fix
from app.engine.judge import Loss, State, Verdict
from app.engine.policy import Namespace, Policy
from app.engine.sentences import flow_ids, item_lines, main_losses, source_lines
from app.engine.words import flow_words, listed
from app.wire.networkpolicy.json_patch import edit_words, patch_text

SHOWN_NAMESPACES = 3
"""Of the namespaces whose policies would cut a relabelled one off, so many are told of."""
_NO_FIX = (
    "Fix: none found that mends this policy by itself.",
    "First apply a policy that lets those flows through, and make this change afterwards.",
)


def policy_denial(
    change: PolicyChange,
    verdict: Verdict,
    after: tuple[Sequence[Policy], Sequence[Policy]],
    ways_out: Iterable[str],
) -> ReviewOutcome:
    """Return the denial of a change that cuts what ``verdict`` rejects.

    ``after`` are the namespace's policies then, and those of them that are judged as if they stood already.
    """
    policies, assumed = after
    cut = main_losses(verdict.rejected)
    besides = len(cut) - 1
    more = f" (and {besides} more required flow{'' if besides == 1 else 's'})" if besides else ""
    lines = [f"{change.title} would cut {flow_words(cut[0].flow)}{more}."]
    for loss in cut:
        lines += item_lines(loss, policies)
        lines += source_lines(loss, verdict.rejected)
    if assumed:
        names = listed(baseline.name for baseline in assumed)
        lines.append(f"Judged as if the missing baseline stood already: {names}")
    reasons = tuple(_reason(loss, change) for loss in cut)
    return ReviewOutcome(OutcomeKind.REJECT, (*lines, *ways_out), reasons, flows=flow_ids(cut))


def _reason(loss: Loss, change: PolicyChange) -> Reason:
    field = f"spec.{loss.flow.region.direction.field}" if change.new is not None else ""
    return Reason(loss.flow.id.value, f"cuts {flow_words(loss.flow)}", field)


def ways_out_of_deletion(namespace: str) -> list[str]:
    """Return what to do instead of deleting a policy that is needed."""
    return [
        "Fix: keep it. To replace it, apply the new policy first and delete this one afterwards.",
        f"To take both baselines away: netpol-guard uninstall --baselines -n {namespace}",
    ]


def fix_lines(fix: Fix | None) -> list[str]:
    """Return a fix in words, and as a patch; None: that there is none."""
    if fix is None:
        return list(_NO_FIX)
    words = [edit_words(edit) for edit in fix.edits]
    return [f"Fix: {'; '.join(words)}.", f"{PATCH}{patch_text(fix)}"]


def baselines_first(namespace: str) -> str:
    """Return the way out for whoever adds a policy where baselines are missing."""
    return f"Or install the baselines first: netpol-guard bootstrap --baselines-only -n {namespace}"


def labels_denial(new: Namespace, cutting: Sequence[tuple[State, Verdict]]) -> ReviewOutcome:
    """Return the denial of labels: ``cutting`` are the policies of others, and what they cut then."""
    name, is_managed = new.name, MANAGED.matches(new.labels)
    lines = [
        f"these labels of namespace {name} would cut it off: policies select by them."
        if is_managed
        else f"taking the label {MANAGED_LABEL} from namespace {name} would cut it off from the others."
    ]
    for state, verdict in cutting[:SHOWN_NAMESPACES]:
        for loss in main_losses(verdict.rejected):
            lines += item_lines(loss, state.policies)
    if len(cutting) > SHOWN_NAMESPACES:
        lines.append("- and so with policies of further managed namespaces")
    cut = [loss for _, verdict in cutting for loss in verdict.rejected]
    reasons = tuple(
        Reason(loss.flow.id.value, f"cuts {flow_words(loss.flow)}", "metadata.labels")
        for loss in main_losses(cut)
    )
    lines += _KEEP_LABELS if is_managed else _unmanaged_ways_out(name)
    return ReviewOutcome(OutcomeKind.REJECT, tuple(lines), reasons, flows=flow_ids(cut))


_KEEP_LABELS = (
    "Fix: leave the labels as they are, or first let those policies select by what will stay,",
    f"such as {MANAGED_LABEL}.",
)


def _unmanaged_ways_out(namespace: str) -> tuple[str, ...]:
    return (
        "Fix: leave the labels as they are.",
        f"To take namespace {namespace} out of IOMETE: move its workloads away, then run",
        f"  netpol-guard uninstall --baselines -n {namespace}",
        "and take the label away with the override annotation (see the README).",
    )
