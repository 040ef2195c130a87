"""A runtime on a real SQLite file, connections to the vendors' emulators inside this process, and activities called as a worker calls them."""

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
from connectors.palo_alto.connector import PaloAlto
from connectors.palo_alto.emulator import PaloAltoEmulator
from connectors.sdk.connector import Connector
from connectors.sdk.emulator import Emulator, EmulatorTransport
from connectors.sdk.open import open_connector
from connectors.sdk.transport import Access
from orchestrator.connections.connections import slot
from orchestrator.contracts.messages import (
    ActionCall,
    ApplyReply,
    ApplyRequest,
    PlanReply,
    PlanRequest,
    RunContext,
    StepRef,
)
from orchestrator.domain.change import Effect
from orchestrator.domain.run import Mode
from orchestrator.engine.activities.apply import Applying
from orchestrator.engine.activities.ask import Asking
from orchestrator.engine.activities.plan import Planning
from orchestrator.engine.activities.read import Reading
from orchestrator.engine.activities.record import Recording
from orchestrator.engine.activities.undo import Undoing
from orchestrator.engine.activities.verify import Verifying
from orchestrator.playbook.plan import Plan
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.migrate import migrate
from orchestrator.store.tables import (
    AlertRow,
    AuditEventRow,
    ConnectionRow,
    KillSwitchRow,
    PlaybookRow,
    PolicyRow,
    RunRow,
)

START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
_SYSTEMS: dict[str, tuple[type[Connector[Any]], type[Emulator]]] = {
    "firewall": (PaloAlto, PaloAltoEmulator),
    "edr": (CrowdStrike, CrowdStrikeEmulator),
    "tickets": (Jira, JiraEmulator),
}
PLAN = Plan(playbook="contain", version=1, title="Contain", owner="soc", steps=())
"""What the runs are runs of; their steps are called one by one."""
_URL = "http://127.0.0.1:1"


@dataclass
class Rig:
    """What a test holds. `now` is the clock; `worlds` are the emulators by connection name."""

    rt: Runtime
    now: list[datetime]
    worlds: dict[str, Emulator] = field(default_factory=dict)

    def pass_time(self, by: timedelta) -> None:
        """Moves the clock on."""
        self.now[0] += by

    def block(
        self,
        run: str = "run_1",
        address: str = "198.51.100.7",
        path: str = "block",
        attempt: int = 1,
    ) -> ActionCall:
        """A step that blocks an address."""
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
    ) -> ActionCall:
        """A step of a run."""
        ref = StepRef(run=context(run, attempt), path=path, seq=1)
        return ActionCall(
            ref=ref,
            connection=connection,
            capability=capability,
            action=action,
            effect=effect,
            input=wish,
        )

    async def plan(self, call: ActionCall, *, lease: bool = True) -> PlanReply:
        """As a worker would."""
        return await ActivityEnvironment().run(
            Planning(self.rt).plan, PlanRequest(call=call, lease=lease)
        )

    async def apply(
        self, call: ActionCall, planned: PlanReply, approval_id: str | None = None
    ) -> ApplyReply:
        """As a worker would."""
        request = ApplyRequest(call=call, change=planned.change, approval_id=approval_id)
        return await ActivityEnvironment().run(Applying(self.rt).apply, request)

    async def contained(self, call: ActionCall) -> PlanReply:
        """The step planned and applied."""
        planned = await self.plan(call)
        assert (await self.apply(call, planned)).outcome == "applied"
        return planned

    async def rows(self, table: type[Any], *order: Any) -> list[Any]:
        """All rows of a table."""
        async with self.rt.store.read() as session:
            return list(await session.scalars(select(table).order_by(*order)))

    async def kinds(self) -> list[str]:
        """The trail, as kinds of events in order."""
        return [row.kind for row in await self.rows(AuditEventRow, AuditEventRow.number)]

    async def add(self, *rows: Any) -> None:
        """Adds rows."""
        async with self.rt.store.write() as session:
            session.add_all(rows)

    async def policy(self, document: dict[str, Any]) -> None:
        """Publishes a policy."""
        version = len(await self.rows(PolicyRow)) + 1
        await self.add(
            PolicyRow(
                version=version,
                digest=f"d{version}",
                document=document,
                source="",
                published_at=START,
                published_by="person:test",
            )
        )

    async def engage(self, scope: str, name: str = "*") -> None:
        """Engages a kill switch."""
        await self.add(
            KillSwitchRow(
                scope=scope, name=name, reason="drill", engaged_by="person:test", engaged_at=START
            )
        )

    def effects(self, connection: str) -> int:
        """How many effectful requests came to a system."""
        return sum(effect["count"] for effect in self.worlds[connection].effects)


def context(run: str = "run_1", attempt: int = 1, mode: Mode = Mode.LIVE) -> RunContext:
    """The context of a run."""
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
async def rig(folder: Path) -> AsyncIterator[Rig]:
    """Everything opened, with three runs that are open, all started by one alert."""
    now = [START]
    rt = open_runtime(Settings.load(data_dir=folder / "data"), clock=lambda: now[0])
    await migrate(rt.store)
    made = Rig(rt, now)
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
        places = {access: slot(row, access) for access in Access}
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
    """A version as it is published."""
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
    """A run that goes on."""
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
    """An alert about a host."""
    view = {"host": {"id": "0123", "name": "ws-042", "address": "10.20.0.42"}, "id": id_}
    given: dict[str, Any] = {
        "source": "test",
        "product": "generic",
        "dedup_key": id_,
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
    "Asking",
    "Reading",
    "Recording",
    "Rig",
    "Undoing",
    "Verifying",
    "alert",
    "context",
    "rig",
    "run_row",
]
