"""An approval desk for tests: people, a clock that a test moves, one run, and approvals of two changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.approvals.coverage import missing_approval
from orchestrator.approvals.decide import decide
from orchestrator.briefing.approval import ApprovalView
from orchestrator.contracts.change import ApplyRequest, StepCall
from orchestrator.contracts.run import RunContext, StepRef
from orchestrator.domain.access import Principal, Role
from orchestrator.domain.change import Change, PolicyVerdict, Verdict
from orchestrator.domain.run import Mode, RunStatus
from orchestrator.policy.document import Policy
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.tables import (
    ApprovalRow,
    AuditEventRow,
    EffectRow,
    PlaybookRow,
    PolicyRow,
    RunRow,
)
from tests.harness.databases import migrate_quickly

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
ANN = Principal(key_id="k1", person="ann", roles=(Role.APPROVER,), groups=("leads",))
ANN_AGAIN = Principal(key_id="k9", person="Ann ", roles=(Role.ADMIN,), groups=("leads",))
BOB = Principal(key_id="k2", person="bob", roles=(Role.APPROVER,), groups=("leads",))
EVE = Principal(key_id="k3", person="eve", roles=(Role.APPROVER,))
ADA = Principal(key_id="k6", person="ada", roles=(Role.ADMIN,))
BLOCK: dict[str, Any] = {
    "connection": "firewall",
    "action": "block_address",
    "effect": "contain",
    "input": {"address": "198.51.100.7"},
}
CHANGE = Change(
    connector="palo_alto",
    planned_change={
        "target": {"type": "address", "value": "198.51.100.7"},
        "changed": True,
        "summary": "Tag it",
    },
    **BLOCK,
)


def asked_change(digest: str = CHANGE.digest, **more: Any) -> dict[str, Any]:
    """Return CHANGE as an approval asks for it."""
    return {**CHANGE.model_dump(mode="json"), "digest": digest, **more}


@dataclass
class Desk:
    """A runtime and its clock."""

    rt: Runtime
    now: list[datetime]

    def pass_time(self, **by: int) -> None:
        """Move the clock; backwards by a negative span."""
        self.now[0] += timedelta(**by)

    async def add(self, *rows: Any) -> None:
        """Add rows."""
        async with self.rt.store.write() as session:
            session.add_all(rows)

    async def ask(self, id_: str = "apr_1", **columns: Any) -> str:
        """Add a pending approval of the changes c1 and c2, with the digest d."""
        given = {
            "kind": "change",
            "question": "Block?",
            "digest": "d",
            "state": "pending",
            "path": "block",
            "workflow_id": "w",
        }
        times = {"asked_at": NOW, "expires_at": NOW + timedelta(minutes=15)}
        changes = [asked_change("c1"), asked_change("c2")]
        await self.add(
            ApprovalRow(
                **{"id": id_, "run_id": "run_1", "changes": changes} | given | times | columns
            )
        )
        return id_

    async def decide(self, who: Principal, decision: Any = "approve", **more: Any) -> ApprovalView:
        """Decide the first approval."""
        return await decide(self.rt, None, "apr_1", who, decision, **{"digest": "d"} | more)

    async def begin(self, digest: str, approval_id: str = "apr_1", state: str = "intended") -> None:
        """Record the intent of a change under an approval."""
        await self.add(self.effect(digest, approval_id, state))

    def effect(self, digest: str, approval_id: str = "apr_1", state: str = "intended") -> EffectRow:
        """Return the intent of a change."""
        names = {
            "connection": "firewall",
            "connector": "palo_alto",
            "action": "block_address",
            "effect": "contain",
        }
        target = {
            "target_type": "address",
            "target_value": "198.51.100.7",
            "containment_key": digest,
        }
        return EffectRow(
            id=f"eff_{digest}", run_id="run_1", path=digest, seq=1, playbook="c2", change={}, change_digest=digest, state=state,
            approval_id=approval_id, intended_at=NOW, **names, **target,
        )  # fmt: skip

    async def lacks(self, session: AsyncSession, by: str | None = None) -> str | None:
        """Return why CHANGE may not be applied under the first approval, where a group is to approve."""
        run = RunContext(
            run_id="run_1",
            attempt=1,
            playbook="c2",
            version=3,
            plan_digest="p",
            mode=Mode.LIVE,
            source=None,
            severity=4,
            started_by="system",
        )
        call = StepCall(ref=StepRef(run=run, path="block", seq=1), capability="firewall", **BLOCK)
        request = ApplyRequest(call=call, change=CHANGE, approval_id="apr_1")
        verdict = PolicyVerdict(
            outcome=Verdict.ASK, reasons=("test",), policy_version=1, policy_digest="p", by=by
        )
        return await missing_approval(session, request, verdict, NOW)

    async def policy(self, **approvals: Any) -> None:
        """Publish a policy with this section `approvals`."""
        row = PolicyRow(
            version=1,
            digest=Policy.model_validate({"approvals": approvals}).digest,
            document={"approvals": approvals},
            source="",
            published_at=NOW,
            published_by="person:test",
        )
        await self.add(row)

    async def row(self, id_: str = "apr_1") -> ApprovalRow:
        """Return an approval as it is stored."""
        async with self.rt.store.read() as session:
            found = await session.get(ApprovalRow, id_)
            assert found is not None
            return found

    async def rows(self, table: type[Any]) -> list[Any]:
        """Return all rows of a table."""
        async with self.rt.store.read() as session:
            return list(await session.scalars(select(table)))

    async def events(self, kind: str) -> list[AuditEventRow]:
        """Return the events of a kind, in order."""
        async with self.rt.store.read() as session:
            wanted = (
                select(AuditEventRow)
                .where(AuditEventRow.kind == kind)
                .order_by(AuditEventRow.number)
            )  # type: ignore[arg-type]
            return list(await session.scalars(wanted))


@asynccontextmanager
async def desk(folder: Path, url: str | None = None) -> AsyncIterator[Desk]:
    """Open a desk with one run of a playbook that pat published."""
    now = [NOW]
    rt = open_runtime(
        Settings.load(data_dir=folder / "data", database_url=url), clock=lambda: now[0]
    )
    await migrate_quickly(rt)
    made = Desk(rt, now)
    await made.add(playbook("c2", 3, "person:pat"))
    run = RunRow(
        id="run_1",
        playbook="c2",
        version=3,
        plan_digest="p",
        status=RunStatus.WAITING,
        started_by="system",
        created_at=NOW,
        dispatched=True,
    )
    await made.add(run)
    try:
        yield made
    finally:
        await rt.close()


def playbook(name: str, version: int, by: str, plan: dict[str, Any] | None = None) -> PlaybookRow:
    """Return a published version."""
    return PlaybookRow(
        name=name,
        version=version,
        digest="p",
        title="t",
        owner="o",
        plan=plan or {},
        source="",
        published_at=NOW,
        published_by=by,
    )
