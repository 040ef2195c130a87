"""Closed records of long ago, in every table that a record has rows in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update

from orchestrator.audit import trail
from orchestrator.audit.sealer import seal_pending
from orchestrator.domain.audit_event import EventKind
from orchestrator.installation.identity import establish_identity
from orchestrator.retention.archive import Archived, archive
from orchestrator.runtime import Runtime
from orchestrator.store.tables import (
    AlertRow,
    ApprovalRow,
    ContainmentRow,
    DecisionRow,
    EffectRow,
    IncidentRow,
    LeaseRow,
    NotificationRow,
    ObservableRow,
    RunKeyRow,
    RunRow,
    StepRow,
)
from orchestrator.store.tables.observables import SubjectKind
from tests.harness.databases import START, opened

OLD = START - timedelta(days=400)
BEFORE = START - timedelta(days=365)
TABLES = (
    RunRow,
    RunKeyRow,
    StepRow,
    EffectRow,
    LeaseRow,
    ApprovalRow,
    DecisionRow,
    NotificationRow,
    ObservableRow,
    AlertRow,
    IncidentRow,
)


def incident(name: str, at: datetime = OLD, **columns: Any) -> IncidentRow:
    about = {"correlation_key": name, "title": "Beacon", "severity": 3}
    times = {"opened_at": at, "last_alert_at": at}
    return IncidentRow(**{"id": f"inc_{name}"} | about | times | columns)


def alert(name: str, at: datetime = OLD, **columns: Any) -> AlertRow:
    about = {
        "source": "edge",
        "product": "generic",
        "dedup_key": name,
        "fingerprint": name,
        "incident_id": f"inc_{name}",
        "title": "Beacon",
        "severity": 3,
        "alert_class": "c2_beacon",
        "view": {"id": name},
        "raw": f"body of {name}".encode(),
        "raw_sha256": f"sha of {name}",
    }
    times = {"received_at": at, "last_seen_at": at}
    return AlertRow(**{"id": f"alert_{name}"} | about | times | columns)


def run(name: str, at: datetime = OLD, **columns: Any) -> RunRow:
    about = {
        "playbook": "contain",
        "version": 1,
        "plan_digest": "p",
        "incident_id": f"inc_{name}",
        "alert_id": f"alert_{name}",
        "source": "edge",
        "status": "completed",
        "started_by": "source:edge",
    }
    return RunRow(**{"id": f"run_{name}"} | about | {"created_at": at, "ended_at": at} | columns)


def of_run(name: str, at: datetime = OLD) -> list[Any]:
    """Return the rows of a run that contained an address, which is released since."""
    run_id, approval, key = f"run_{name}", f"apr_{name}", f"containment of {name}"
    target = {"target_type": "address", "target_value": "198.51.100.7"}
    effect = EffectRow(
        id=f"{run_id}/block/1",
        run_id=run_id,
        path="block",
        seq=1,
        playbook="contain",
        source="edge",
        connection="firewall",
        connector="palo_alto",
        action="block_address",
        effect="contain",
        containment_key=key,
        change={"action": "block_address"},
        change_digest="d",
        state="undone",
        approval_id=approval,
        intended_at=at,
        ended_at=at,
        **target,
    )
    containment = ContainmentRow(
        key=key,
        connection="firewall",
        action="block_address",
        state="lifted",
        effect_id=effect.id,
        since=at,
        lifted_at=at,
        was_in_force=True,
        **target,
    )
    approved = ApprovalRow(
        id=approval,
        run_id=run_id,
        workflow_id="w",
        delivered=True,
        path="block",
        kind="change",
        question="Block?",
        digest="d",
        state="approved",
        asked_at=at,
        expires_at=at,
        decided_at=at,
    )
    lease = LeaseRow(
        id=f"{run_id}/block",
        containment_key=key,
        run_id=run_id,
        path="block",
        state="ended",
        created_at=at,
        ended_at=at,
    )
    observables = [
        ObservableRow(
            subject=subject, kind=kind, type="address", value="v", short="v", role="target", at=at
        )
        for subject, kind in (
            (run_id, SubjectKind.RUN),
            (approval, SubjectKind.APPROVAL),
            (f"alert_{name}", SubjectKind.ALERT),
        )
    ]
    return [
        StepRow(run_id=run_id, path="block", kind="action", state="released", seq=1, started_at=at),
        StepRow(run_id=run_id, path="look", kind="action", state="done", seq=2, started_at=at),
        effect,
        containment,
        lease,
        approved,
        DecisionRow(approval_id=approval, person="ann", key_id="k", decision="approve", at=at),
        notification(f"ntf_{name}", approval, at),
        RunKeyRow(playbook="contain", once_key=name, run_id=run_id, at=at),
        *observables,
    ]


def notification(
    id_: str, about: str, at: datetime = OLD, state: str = "sent", **columns: Any
) -> NotificationRow:
    given = {"person": "ann", "channel": "email", "kind": "asked", "state": state}
    times = {"next_at": at, "created_at": at}
    return NotificationRow(**{"id": id_, "about": about} | given | times | columns)


def closed(name: str, at: datetime = OLD) -> list[Any]:
    """Return an incident with everything that belongs to it."""
    return [incident(name, at), alert(name, at), run(name, at), *of_run(name, at)]


@asynccontextmanager
async def installed(folder: Path, url: str | None = None) -> AsyncIterator[Runtime]:
    """Open an installation at its first start."""
    async with opened(folder, url) as [rt]:
        await establish_identity(rt)
        yield rt


async def add(rt: Runtime, *added: Any) -> None:
    """Add rows, and the events that accepted alerts and created runs have."""
    async with rt.store.write() as session:
        session.add_all(added)
        for row in added:
            if isinstance(row, RunRow | AlertRow):
                is_run = isinstance(row, RunRow)
                kind = EventKind.RUN_CREATED if is_run else EventKind.ALERT_ACCEPTED
                await trail.record(
                    session, kind, actor="source:edge", subject=row.id, data={}, now=START
                )
    await seal_pending(rt)


async def edit(rt: Runtime, table: type[Any], **values: Any) -> None:
    """Change all rows of a table."""
    async with rt.store.write() as session:
        await session.execute(update(table).values(**values))


async def counts(rt: Runtime) -> dict[str, int]:
    """Return how many rows each table has."""
    async with rt.store.read() as session:
        return {
            str(table.__tablename__): await session.scalar(select(func.count()).select_from(table))
            or 0
            for table in TABLES
        }


async def archived(rt: Runtime, folder: Path) -> Archived:
    """Archive what is older than a year."""
    to = folder / "archive"
    done = await archive(rt, BEFORE, to, actor="person:test", report=lambda _: None)
    assert done is not None
    return done
