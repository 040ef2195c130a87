"""A rig for activities: a SQLite file, connections to emulators, calls like a worker's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from temporalio.testing import ActivityEnvironment

from connectors.crowdstrike.connector import CrowdStrike
from connectors.crowdstrike.emulator import CrowdStrikeEmulator
from connectors.jira.connector import Jira
from connectors.jira.emulator import JiraEmulator
from connectors.okta.connector import Okta
from connectors.okta.emulator import OktaEmulator
from connectors.palo_alto.connector import PaloAlto
from connectors.palo_alto.emulator import PaloAltoEmulator
from connectors.sdk.connector import Connector
from connectors.sdk.emulator import Emulator, EmulatorTransport
from connectors.sdk.open import open_connector
from connectors.sdk.transport import Access
from orchestrator.connections.open import pool_key
from orchestrator.contracts.change import ApplyReply, ApplyRequest, PlanReply, PlanRequest, StepCall
from orchestrator.contracts.run import RunContext, StepRef
from orchestrator.domain.change import Effect
from orchestrator.domain.run import Mode
from orchestrator.engine.activities.apply import ApplyChange
from orchestrator.engine.activities.ask import AskPeople
from orchestrator.engine.activities.plan import PlanChange
from orchestrator.engine.activities.read import ReadSystem
from orchestrator.engine.activities.record import RecordRun
from orchestrator.engine.activities.undo import UndoChange
from orchestrator.engine.activities.verify import VerifyChange
from orchestrator.playbook.plan import Plan
from orchestrator.policy.document import Policy
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.tables import (
    AlertRow,
    AuditEventRow,
    ConnectionRow,
    KillSwitchRow,
    PlaybookRow,
    PolicyRow,
    RunRow,
)
from tests.harness.databases import migrate_quickly

START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
_SYSTEMS: dict[str, tuple[type[Connector[Any]], type[Emulator]]] = {
    "firewall": (PaloAlto, PaloAltoEmulator),
    "edr": (CrowdStrike, CrowdStrikeEmulator),
    "tickets": (Jira, JiraEmulator),
    "identity": (Okta, OktaEmulator),
}
PLAN = Plan(playbook="contain", version=1, title="Contain", owner="soc", steps=())
"""The playbook of the runs, whose steps are called one by one."""
_URL = "http://127.0.0.1:1"


@dataclass
class ActivityRig:
    """A runtime with its clock (`now`) and its emulators by connection name (`worlds`)."""

    rt: Runtime
    now: list[datetime]
    worlds: dict[str, Emulator] = field(default_factory=dict)

    def pass_time(self, by: timedelta) -> None:
        """Advance the clock."""
        self.now[0] += by

    def block(
        self,
        run: str = "run_1",
        address: str = "198.51.100.7",
        path: str = "block",
        attempt: int = 1,
    ) -> StepCall:
        """Return the call of a step that blocks an address."""
        return self.call(
            "firewall",
            "firewall",
            "block_address",
            Effect.CONTAIN,
            {"address": address},
            run=run,
            path=path,
            attempt=attempt,
        )

    def call(
        self,
        connection: str,
        capability: str,
        action: str,
        effect: Effect,
        wish: dict[str, Any],
        *,
        run: str = "run_1",
        path: str = "step",
        attempt: int = 1,
    ) -> StepCall:
        """Return the call of a step."""
        ref = StepRef(run=context(run, attempt), path=path, seq=1)
        return StepCall(
            ref=ref,
            connection=connection,
            capability=capability,
            action=action,
            effect=effect,
            input=wish,
        )

    async def plan(self, call: StepCall, *, lease: bool = True) -> PlanReply:
        """Call the activity like a worker."""
        return await ActivityEnvironment().run(
            PlanChange(self.rt).plan, PlanRequest(call=call, lease=lease)
        )

    async def apply(
        self, call: StepCall, planned: PlanReply, approval_id: str | None = None
    ) -> ApplyReply:
        """Call the activity like a worker."""
        request = ApplyRequest(call=call, change=planned.change, approval_id=approval_id)
        return await ActivityEnvironment().run(ApplyChange(self.rt).apply, request)

    async def contained(self, call: StepCall) -> PlanReply:
        """Plan and apply a step."""
        planned = await self.plan(call)
        assert (await self.apply(call, planned)).outcome == "applied"
        return planned

    async def rows(self, table: type[Any], *order: Any) -> list[Any]:
        """Return all rows of a table."""
        async with self.rt.store.read() as session:
            return list(await session.scalars(select(table).order_by(*order)))

    async def kinds(self) -> list[str]:
        """Return the kinds of all audit events, in order."""
        return [row.kind for row in await self.rows(AuditEventRow, AuditEventRow.number)]

    async def add(self, *rows: Any) -> None:
        """Add rows."""
        async with self.rt.store.write() as session:
            session.add_all(rows)

    async def policy(self, document: dict[str, Any]) -> None:
        """Publish a policy."""
        version = len(await self.rows(PolicyRow)) + 1
        await self.add(
            PolicyRow(
                version=version,
                digest=Policy.model_validate(document).digest,
                document=document,
                source="",
                published_at=START,
                published_by="person:test",
            )
        )

    async def engage(self, scope: str, name: str = "*") -> None:
        """Engage a kill switch."""
        await self.add(
            KillSwitchRow(
                scope=scope, name=name, reason="drill", engaged_by="person:test", engaged_at=START
            )
        )

    def effects(self, connection: str) -> int:
        """Count the requests that changed a system."""
        return sum(effect["count"] for effect in self.worlds[connection].effects)


def context(run: str = "run_1", attempt: int = 1, mode: Mode = Mode.LIVE) -> RunContext:
    """Return the identity of a run."""
    return RunContext(
        run_id=run,
        attempt=attempt,
        playbook="contain",
        version=1,
        plan_digest=PLAN.digest,
        mode=mode,
        source="test",
        severity=4,
        started_by="source:test",
        incident_id="inc_1",
    )


@asynccontextmanager
async def rig(folder: Path) -> AsyncIterator[ActivityRig]:
    """Open everything, with three open runs that one alert started."""
    now = [START]
    rt = open_runtime(Settings.load(data_dir=folder / "data"), clock=lambda: now[0])
    await migrate_quickly(rt)
    made = ActivityRig(rt, now)
    for name, (connector, emulator) in _SYSTEMS.items():
        world = made.worlds[name] = emulator()
        row = ConnectionRow(
            name=name,
            connector=connector.name,
            capability="",
            settings={},
            secrets=b"",
            revision=1,
            saved_at=START,
        )
        places = {access: pool_key(row, access) for access in Access}
        await made.add(row)
        for access in Access:
            opened = open_connector(
                connector, emulator.settings(_URL), access, EmulatorTransport(world)
            )
            rt.connections.get(places[access], lambda opened=opened: opened)  # type: ignore[misc]
    await made.add(alert(), published(PLAN))
    await made.add(*(run_row(f"run_{number}") for number in (1, 2, 3)))
    try:
        yield made
    finally:
        await rt.close()


def published(plan: Plan, **columns: Any) -> PlaybookRow:
    """Return a published version."""
    about = {
        "name": plan.playbook,
        "version": plan.version,
        "digest": plan.digest,
        "title": plan.title,
        "owner": plan.owner,
    }
    return PlaybookRow(
        **about,
        plan=plan.model_dump(mode="json"),
        source="",
        published_at=START,
        published_by="person:author",
        **columns,
    )


def run_row(run: str, **columns: Any) -> RunRow:
    """Return a running run."""
    given: dict[str, Any] = {
        "playbook": "contain",
        "version": 1,
        "plan_digest": PLAN.digest,
        "status": "running",
        "started_by": "source:test",
        "created_at": START,
    }
    more: dict[str, Any] = {
        "incident_id": "inc_1",
        "alert_id": "alert_1",
        "source": "test",
        "severity": 4,
        "dispatched": True,
    }
    return RunRow(id=run, **given | more | columns)


def alert(id_: str = "alert_1", **columns: Any) -> AlertRow:
    """Return an alert about a host."""
    view = {"host": {"id": "0123", "name": "ws-042", "address": "10.20.0.42"}, "id": id_}
    given: dict[str, Any] = {
        "source": "test",
        "product": "generic",
        "dedup_key": id_,
        "fingerprint": id_,
        "incident_id": "inc_1",
        "title": "t",
        "severity": 4,
        "view": view,
    }
    more: dict[str, Any] = {
        "alert_class": "c2_beacon",
        "raw": b"{}",
        "raw_sha256": "",
        "received_at": START,
        "last_seen_at": START,
    }
    return AlertRow(id=id_, **given | more | columns)


__all__ = [
    "START",
    "ActivityRig",
    "AskPeople",
    "ReadSystem",
    "RecordRun",
    "UndoChange",
    "VerifyChange",
    "alert",
    "context",
    "rig",
    "run_row",
]
