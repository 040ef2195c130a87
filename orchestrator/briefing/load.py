"""Loading of briefings: an approval with its alert, its assets, and what others decided."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.assets.facts import lookup_asset_facts
from orchestrator.briefing.approval import (
    ApprovalAlertView,
    ApprovalAssetView,
    ApprovalView,
    BreakGlassView,
    ChangeLeaseView,
    ChangeVerdictView,
    DecisionView,
    EvidenceView,
    LeaseHolderView,
    PlannedChangeView,
)
from orchestrator.briefing.text import ApprovalText, approval_text
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.approval import ApprovalState, DecisionType, one_person
from orchestrator.domain.change import Effect, Holder
from orchestrator.domain.masking import mask_secrets
from orchestrator.domain.observable import ObservableType, Target
from orchestrator.store.queries import approvals, notifications, runs
from orchestrator.store.tables import AlertRow, ApprovalRow, DecisionRow, RunRow

_UNDO = {
    Effect.CONTAIN: "Tocsin lifts it when its last lease ends, or when a person releases it.",
    Effect.RESTORE: "A rollback of the run restores what was there before.",
    Effect.NOTIFY: "It cannot be undone: a ticket or a message stays.",
    Effect.DESTROY: "It cannot be undone.",
    Effect.RELEASE: "The target has to be contained again.",
    Effect.READ: "It changes nothing.",
}


_PRINCIPALS: tuple[tuple[Literal["host", "user"], ObservableType, tuple[str, ...]], ...] = (
    ("host", ObservableType.HOST, ("name", "address", "id")),
    ("user", ObservableType.USER, ("name", "email")),
)
"""The own assets that an alert is about, and the fields that name each."""


async def load_approvals(
    session: AsyncSession,
    rows: Sequence[tuple[ApprovalRow, RunRow]],
    now: datetime,
    principal: Principal | None = None,
) -> list[ApprovalView]:
    """Return approvals as people see them at a time. `principal`: the person who looks."""
    ids = [row.id for row, _ in rows]
    decisions = await approvals.list_decisions(session, ids)
    subjects = {*ids, *(row.batch for row, _ in rows if row.batch)}
    people = await notifications.list_notified(session, sorted(subjects))
    alert_ids = [id_ for _, run in rows for id_ in (run.alert_id, run.raised_by) if id_]
    alerts = await approvals.list_alerts(session, alert_ids)
    views = []
    for row, run in rows:
        alert, later = alerts.get(run.alert_id or ""), alerts.get(run.raised_by or "")
        own = [each for each in decisions if each.approval_id == row.id]
        view = _view(row, run, own, now, principal)
        update = {
            "alert": _alert(alert) if alert else None,
            "more_severe": _alert(later) if later else None,
            "assets": tuple([each async for each in _assets(session, row, alert)]),
            "asked": tuple(sorted({who for about, who in people if about in {row.id, row.batch}})),
        }
        views.append(view.model_copy(update=update))
    return views


async def load_text(session: AsyncSession, row: ApprovalRow, now: datetime) -> ApprovalText | None:
    """Return the text of an approval; None if its run is gone."""
    run = await runs.get(session, row.run_id)
    if run is None:
        return None
    (view,) = await load_approvals(session, [(row, run)], now)
    return approval_text(view)


def _view(
    row: ApprovalRow,
    run: RunRow,
    decisions: Sequence[DecisionRow],
    now: datetime,
    principal: Principal | None,
) -> ApprovalView:
    return ApprovalView(
        id=row.id,
        digest=row.digest,
        kind=row.kind,
        question=row.question,
        planned_changes=tuple(_planned_change(change, now) for change in row.changes),
        form=row.form,
        run_id=row.run_id,
        path=row.path,
        batch=row.batch,
        playbook=run.playbook,
        version=run.version,
        started_by=run.started_by,
        inputs=mask_secrets(run.inputs),
        incident_id=run.incident_id,
        severity=run.severity,
        alert=None,
        more_severe=None,
        assets=(),
        evidence=tuple(EvidenceView(**mask_secrets(each)) for each in row.evidence),
        by=row.deciding_group,
        handed_over_from=row.by_group if row.handed_to is not None else None,
        handed_over_by=row.handed_by,
        quorum=row.quorum,
        approvals=sum(
            each.decision is DecisionType.APPROVE and each.withdrawn_at is None
            for each in decisions
        ),
        asked=(),
        decisions=tuple(_decision(each) for each in decisions),
        mine=principal is not None and waits_for(principal, row, decisions),
        state=row.state,
        condition=row.condition,
        reasons=tuple(row.reasons),
        escalated=row.escalated,
        level=row.level,
        replaced_by=row.replaced_by,
        reminders=row.reminders,
        break_glass=_break_glass(row),
        created_at=row.asked_at,
        expires_at=row.expires_at,
        decided_at=row.decided_at,
    )


def waits_for(principal: Principal, row: ApprovalRow, decisions: Sequence[DecisionRow]) -> bool:
    """Return whether an approval waits for a person. `decisions`: those on it."""
    return (
        row.state is ApprovalState.PENDING
        and principal.has_permission(Permission.APPROVAL_DECIDE)
        and (row.deciding_group is None or row.deciding_group in principal.groups)
        and not any(
            one_person(each.person) == one_person(principal.person) and each.withdrawn_at is None
            for each in decisions
        )
    )


def _decision(row: DecisionRow) -> DecisionView:
    return DecisionView(
        **row.model_dump(exclude={"approval_id", "key_id", "at", "form", "mac"}),
        form=mask_secrets(row.form),
        decided_at=row.at,
    )


def _planned_change(change: dict[str, Any], now: datetime) -> PlannedChangeView:
    planned_change = change["planned_change"]
    effect, verdict = Effect(change["effect"]), change.get("verdict")
    return PlannedChangeView(
        connection=change["connection"],
        connector=change["connector"],
        action=change["action"],
        effect=effect.value,
        input=mask_secrets(change["input"]),
        target=planned_change["target"],
        summary=planned_change["summary"],
        changed=planned_change["changed"],
        digest=change["digest"],
        lease=_lease(effect, change.get("hold_seconds"), now),
        holders=tuple(_holder(Holder.model_validate(each)) for each in change.get("holders", ())),
        policy=ChangeVerdictView(
            outcome=verdict["outcome"], rule=verdict["rule"], reasons=tuple(verdict["reasons"])
        )
        if verdict
        else None,
        undo=_UNDO[effect],
        planned_change=mask_secrets(planned_change),
    )


def _lease(effect: Effect, seconds: int | None, now: datetime) -> ChangeLeaseView | None:
    if effect is not Effect.CONTAIN and seconds is None:
        return None
    until = now + timedelta(seconds=seconds) if seconds is not None else None
    return ChangeLeaseView(seconds=seconds, expires_at=until)


def _holder(holder: Holder) -> LeaseHolderView:
    return LeaseHolderView(
        lease_id=holder.lease,
        containment_id=holder.containment,
        run_id=holder.run,
        playbook=holder.playbook,
        target=holder.target.model_dump(mode="json"),
        expires_at=holder.expires_at,
    )


def _break_glass(row: ApprovalRow) -> BreakGlassView | None:
    if row.break_glass_by is None or row.review is None:
        return None
    return BreakGlassView(
        by=row.break_glass_by,
        reason=row.break_glass_reason or "",
        review=row.review,
        reviewed_by=row.reviewed_by,
        reviewed_at=row.reviewed_at,
        comment=row.review_comment,
    )


def _alert(row: AlertRow) -> ApprovalAlertView:
    return ApprovalAlertView(
        id=row.id,
        title=row.title,
        rule=row.view.get("rule"),
        severity=row.severity,
        severity_name=row.view.get("severity_name", "unknown"),
        alert_class=row.alert_class,
        source=row.source,
        product=row.product,
        alerted_at=row.view.get("time") or row.received_at,
        created_at=row.received_at,
    )


async def _assets(
    session: AsyncSession, row: ApprovalRow, alert: AlertRow | None
) -> AsyncIterator[ApprovalAssetView]:
    """Yield the host and the user of the alert, and the targets that the inventory speaks of."""
    view = alert.view if alert else {}
    names = {name for name in _names(view.get("host"), "id", "name", "address") if name}
    for role, kind, fields in _PRINCIPALS:
        found = view.get(role)
        value = next(iter(_names(found, *fields)), None)
        if found and value:
            yield ApprovalAssetView(
                type=kind.value,
                value=value,
                role=role,
                kind=found.get("kind"),
                critical=bool(found.get("critical")),
                tags=tuple(found.get("tags") or ()),
                known=True,
            )
    for target in _targets(row):
        also = names if target.value in names else set()
        facts = await lookup_asset_facts(session, target, also, also)
        if facts.tags or facts.critical or not facts.known:
            yield ApprovalAssetView(
                type=target.type.value,
                value=target.value,
                role="target",
                kind=None,
                critical=facts.critical,
                tags=facts.tags,
                known=facts.known,
            )


def _names(found: dict[str, Any] | None, *fields: str) -> Iterator[str]:
    yield from (found[field] for field in fields if found and found.get(field))


def _targets(row: ApprovalRow) -> list[Target]:
    targets = (Target.model_validate(each["planned_change"]["target"]) for each in row.changes)
    return list(dict.fromkeys(targets))
