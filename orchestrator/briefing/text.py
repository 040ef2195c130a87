"""The text of an approval, the same in every channel: all that a decision covers, as plain text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from orchestrator.briefing.approval import (
    ApprovalAlertView,
    ApprovalAssetView,
    ApprovalView,
    DecisionView,
    LeaseHolderView,
    PlannedChangeView,
)
from orchestrator.briefing.plain_text import defang, lines, one_line, quoted
from orchestrator.domain.model import Frozen
from orchestrator.playbook.language.durations import format_duration

_QUESTION, _REASON, _NAME, _SUMMARY, _DETAIL, _VALUE = 2000, 300, 200, 500, 4000, 500
_MAX_ROWS = 60
"""The most rows of evidence that people are shown."""


class Row(NamedTuple):
    """One row of a section."""

    label: str
    value: str


class Section(NamedTuple):
    """A table about one subject."""

    title: str
    rows: tuple[Row, ...]


class ChangeText(Frozen):
    """One change."""

    digest: str
    action: str  # connection.action
    effect: str
    target: str
    summary: str
    rows: tuple[Row, ...]  # its lease, the leases it ends, the policy's verdict, its undo
    detail: str  # its input, as JSON


class ApprovalText(Frozen):
    """One approval."""

    approval_id: str
    digest: str
    severity: str  # the name of the alert's severity; empty without an alert
    question: str
    changes: tuple[ChangeText, ...]
    form: dict[str, Any] | None  # the fields to fill in, where no change is asked about
    sections: tuple[Section, ...]
    run_id: str
    quorum: int
    progress: str
    expires_at: datetime


def approval_text(view: ApprovalView) -> ApprovalText:
    """Return the text of an approval."""
    worst = view.more_severe or view.alert
    sections = (
        Section("Alert", tuple(_alert(view.alert, view.incident_id))),
        Section("A more severe alert has joined since", tuple(_alert(view.more_severe, None))),
        Section("Run", tuple(_run(view))),
        Section("Assets", tuple(_asset(each) for each in view.assets)),
        Section("Evidence", tuple(_evidence(view))),
        Section("Why it needs approval", tuple(_reasons(view))),
        Section("Who decides", tuple(_people(view))),
    )
    return ApprovalText(
        approval_id=view.id,
        digest=view.digest,
        severity=worst.severity_name if worst else "",
        question=defang(lines(view.question, _QUESTION)),
        changes=tuple(_change(change) for change in view.planned_changes),
        form=view.form,
        sections=tuple(section for section in sections if section.rows),
        run_id=view.run_id,
        quorum=view.quorum,
        progress=f"{view.approvals} of {view.quorum}",
        expires_at=view.expires_at,
    )


def format_time(at: datetime) -> str:
    """Return a time for a person to read."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def lease_text(change: PlannedChangeView) -> str | None:
    """Return how long a change lasts; None: no lease limits it."""
    lease = change.lease
    if lease is None:
        return None
    if lease.seconds is None or lease.expires_at is None:
        return "without an end, until a person releases it"
    until = format_time(lease.expires_at)
    return f"for {format_duration(lease.seconds)}, until {until} if approved now"


def _change(change: PlannedChangeView) -> ChangeText:
    target = change.target
    given = json.dumps(change.input, indent=1, sort_keys=True, ensure_ascii=False)
    return ChangeText(
        digest=change.digest,
        action=one_line(f"{change.connection}.{change.action}", _NAME),
        effect=one_line(change.effect, _NAME),
        target=_shown(f"{target['type']} {target['value']}", _NAME),
        summary=quoted(change.summary, _SUMMARY),
        rows=tuple(_change_rows(change)),
        detail=defang(lines(given, _DETAIL)),
    )


def _change_rows(change: PlannedChangeView) -> Iterator[Row]:
    if lease := lease_text(change):
        yield Row("Lasts", lease)
    for holder in change.holders:
        yield Row("Ends the lease of", _holder(holder))
    if change.policy is not None:
        rule = f"rule {change.policy.rule}: " if change.policy.rule else ""
        said = f"{change.policy.outcome.value}, {rule}{'; '.join(change.policy.reasons)}"
        yield Row("Policy", _shown(said, _VALUE))
    yield Row("Undo", change.undo)


def _holder(holder: LeaseHolderView) -> str:
    end = (
        "without an end" if holder.expires_at is None else f"until {format_time(holder.expires_at)}"
    )
    target = f"{holder.target['type']} {holder.target['value']}"
    playbook = f" ({holder.playbook})" if holder.playbook else ""
    return _shown(f"run {holder.run_id}{playbook} on {target}, {end}", _VALUE)


def _alert(alert: ApprovalAlertView | None, incident_id: str | None) -> Iterator[Row]:
    if alert is not None:
        yield Row("Title", quoted(alert.title, _VALUE))
        yield Row("Severity", f"{alert.severity_name} ({alert.severity})")
        yield Row("Class", _shown(alert.alert_class, _NAME))
        yield Row("Rule", quoted(alert.rule, _NAME) if alert.rule else "-")
        yield Row("Source", _shown(f"{alert.source} ({alert.product})", _NAME))
        yield Row("Time", format_time(alert.alerted_at))
        yield Row("Alert", alert.id)
    if incident_id is not None:
        yield Row("Incident", incident_id)


def _run(view: ApprovalView) -> Iterator[Row]:
    """Yield who started a run by hand, and what it was given: a reason, a target."""
    if not view.started_by.startswith("source:"):
        yield Row("Started by", _shown(view.started_by, _NAME))
    for name, value in view.inputs.items():
        yield from _flat(f"Input {name}", value)


def _asset(asset: ApprovalAssetView) -> Row:
    facts = [
        "critical" if asset.critical else "",
        (asset.kind or "").replace("_", " ") if asset.kind != "unknown" else "",
        f"tags: {', '.join(asset.tags)}" if asset.tags else "",
        "" if asset.known else "not in the inventory",
    ]
    value = f"{asset.value}: {'; '.join(filter(None, facts)) or 'nothing noted'}"
    return Row(asset.role.capitalize(), _shown(value, _VALUE))


def _evidence(view: ApprovalView) -> Iterator[Row]:
    rows = [row for each in view.evidence for row in _flat(each.label, each.value)]
    yield from rows[:_MAX_ROWS]
    if len(rows) > _MAX_ROWS:
        yield Row("More", f"{len(rows) - _MAX_ROWS} rows; see the approval in the API")


def _flat(label: str, value: Any) -> Iterator[Row]:
    """Yield a row for each field of an object, and one row for any other value."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield Row(_shown(f"{label}: {name}", _NAME), _scalar(item))
    else:
        yield Row(_shown(label, _NAME), _scalar(value))


def _scalar(value: Any) -> str:
    """Return a value for people. Text in it is quoted: a vendor or a sender wrote it."""
    match value:
        case None | "":
            return "-"
        case str():
            return quoted(value, _VALUE)
        case bool():
            return "yes" if value else "no"
        case list() if all(not isinstance(item, dict | list) for item in value):
            return _cut_list([_scalar(item) for item in value]) or "-"
        case int() | float():
            return str(value)
        case _:
            return quoted(json.dumps(value, ensure_ascii=False, sort_keys=True), _VALUE)


def _cut_list(items: Sequence[str]) -> str:
    """Return items as a list of bounded length."""
    shown: list[str] = []
    for item in items:
        if sum(map(len, shown)) + len(item) > _VALUE:
            return ", ".join([*shown, f"and {len(items) - len(shown)} more"])
        shown.append(item)
    return ", ".join(shown)


def _reasons(view: ApprovalView) -> Iterator[Row]:
    if view.condition is not None:  # the author's words, which are no one else's to choose
        yield Row("The playbook asks", one_line(view.condition, _REASON))
    for reason in view.reasons:
        yield Row("Because", _shown(reason, _REASON))


def _people(view: ApprovalView) -> Iterator[Row]:
    level = f", escalation level {view.level}" if view.level else ""
    yield Row("Group", f"{_shown(view.by or 'anyone who may decide', _NAME)}{level}")
    if view.handed_over_from is not None:
        handed = f"from {view.handed_over_from} by {view.handed_over_by}"
        yield Row("Handed over", _shown(handed, _VALUE))
    yield Row("Approvals", f"{view.approvals} of {view.quorum}")
    if view.asked:
        yield Row("Asked", _shown(", ".join(view.asked), _VALUE))
    for decision in view.decisions:
        yield Row(_shown(decision.person, _NAME), _decision(decision, view.planned_changes))
    if (alone := view.break_glass) is not None:
        reviewer = f" by {alone.reviewed_by}" if alone.reviewed_by else ""
        said = f"break-glass: {quoted(alone.reason, _VALUE)}; review {alone.review.value}{reviewer}"
        yield Row(_shown(alone.by, _NAME), _shown(said, _VALUE))


def _decision(decision: DecisionView, changes: Sequence[PlannedChangeView]) -> str:
    chosen = (decision.form or {}).get("changes") if changes else None
    part = f" {len(chosen)} of {len(changes)} changes" if chosen else ""
    comment = f": {quoted(decision.comment, _VALUE)}" if decision.comment else ""
    withdrawn = f", withdrawn {format_time(decision.withdrawn_at)}" if decision.withdrawn_at else ""
    when = f"{format_time(decision.decided_at)} by {decision.via.value}"
    return _shown(f"{decision.decision.value}{part}, {when}{withdrawn}{comment}", _VALUE)


def _shown(text: str, most: int) -> str:
    return defang(one_line(text, most))
