"""Replay: a rejected delivery is read again, with the source's parser and mapping of now."""

from __future__ import annotations

from typing import Any

from orchestrator.audit import trail
from orchestrator.domain.alert import RejectionReason, RejectionState
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict
from orchestrator.intake.answers import Accepted
from orchestrator.intake.authenticate import Verified
from orchestrator.intake.body import BodyRefused
from orchestrator.intake.delivery import WebhookDelivery, parse_payloads, read_payloads
from orchestrator.intake.errors import NotAnAlert, Unparseable
from orchestrator.intake.keep_rejected import body_context, reason_of
from orchestrator.intake.persist import commit
from orchestrator.intake.rejected.queries import load_rejected
from orchestrator.intake.rejected.views import Replay, ReplayedAll
from orchestrator.intake.sources import load_source, parser_of
from orchestrator.runtime import Runtime
from orchestrator.store.queries.sources import rejected
from orchestrator.store.tables import RejectedRow

MAX_REPLAYS = 50
"""The maximum number of deliveries that one request replays."""


async def replay(rt: Runtime, source: str, id_: str, *, actor: str) -> Replay:
    """Read a delivery again and commit its alerts, of which those known are duplicates.

    Raise NotFound, Conflict (replayed already, or without a body).
    """
    row = await load_rejected(rt, source, id_)
    row.state.replay()  # raises for one that was replayed
    if row.body is None:
        raise Conflict(f"{id_} was too large to be kept; have the source send it again")
    accepted, changes = await _read_again(rt, row, row.body)
    changes["tried_at"] = rt.clock()
    async with rt.store.write() as session:
        await rejected.set_outcome(session, id_, **changes)
        await trail.record(
            session,
            EventKind.ALERT_REPLAYED,
            actor=actor,
            subject=source,
            data={"rejected_id": id_, "body_sha256": row.body_sha256, **_said(accepted, changes)},
            now=rt.clock(),
        )
    state = changes.get("state", RejectionState.KEPT)
    return Replay(id=id_, state=state, accepted=accepted, detail=changes.get("detail"))


async def replay_all(
    rt: Runtime, source: str, *, after: str | None = None, actor: str
) -> ReplayedAll:
    """Replay the kept deliveries of a source, oldest first, beginning after an id.

    Raise NotFound.
    """
    await load_source(rt, source)
    async with rt.store.read() as session:
        ids = await rejected.kept_ids(session, source, after, MAX_REPLAYS)
    replays = [await replay(rt, source, id_, actor=actor) for id_ in ids]
    return ReplayedAll(replays=replays, next=ids[-1] if len(ids) == MAX_REPLAYS else None)


async def _read_again(
    rt: Runtime, row: RejectedRow, sealed: bytes
) -> tuple[Accepted | None, dict[str, Any]]:
    """Return the committed alerts, and the changes of the row."""
    source = await load_source(rt, row.source)
    headers = {"content-type": row.content_type, "content-encoding": row.content_encoding}
    body = rt.secrets.open(sealed, body_context(row.source))
    try:
        payloads = read_payloads(WebhookDelivery(headers, body), rt.settings.max_body_bytes)
        parsed = parse_payloads(parser_of(source), payloads, row.received_at)
    except (BodyRefused, Unparseable) as refusal:
        return None, {"detail": str(refusal), "reason": reason_of(refusal)}
    except NotAnAlert as telemetry:
        return None, {"detail": str(telemetry), "state": RejectionState.REPLAYED, "body": None}
    accepted = await commit(rt, source, parsed, payloads.body, Verified(), rt.clock())
    if parsed.rejected:
        count, first = len(parsed.rejected), parsed.rejected[0].reason
        detail = f"items that could not be read: {count}; the first: {first}"
        items = [item.model_dump() for item in parsed.rejected]
        return accepted, {"detail": detail, "reason": RejectionReason.ITEMS, "items": items}
    return accepted, {"state": RejectionState.REPLAYED, "body": None, "items": []}


def _said(accepted: Accepted | None, changes: dict[str, Any]) -> dict[str, Any]:
    """Return what the audit event says of a replay."""
    alerts = accepted.alerts if accepted else ()
    new = [alert.alert_id for alert in alerts if not alert.duplicate]
    return {
        "new_alerts": new[:100],
        "new": len(new),
        "duplicates": len(alerts) - len(new),
        "state": changes.get("state", RejectionState.KEPT),
        "detail": changes.get("detail"),
    }
