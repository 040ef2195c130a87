"""Blocks of addresses and networks on one nftables connection, by the engine's activities."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from temporalio.testing import ActivityEnvironment

from connectors.nftables.connector import Nftables
from connectors.sdk.open import open_connector
from connectors.sdk.transport import Access
from orchestrator.connections.open import pool_key
from orchestrator.contracts.change import (
    PlanReply,
    PlanRequest,
    StepCall,
    UndoReply,
    UndoRequest,
    VerifyRequest,
)
from orchestrator.domain.change import Effect
from orchestrator.domain.containment import LeaseEndReason
from orchestrator.engine.activities.plan import PlanChange
from orchestrator.store.tables import ConnectionRow
from tests.harness.activity_rig import START, ActivityRig, UndoChange, VerifyChange, run_row

CONNECTION = "edge"


class OverlapRig:
    """One run per block, named by the test; each call is what a worker does."""

    def __init__(self, bench: ActivityRig) -> None:
        self.bench = bench

    async def connect(self, settings: dict[str, Any]) -> None:
        """Add the connection, and runs `a` to `f`."""
        row = ConnectionRow(
            name=CONNECTION,
            connector=Nftables.name,
            capability="firewall",
            settings={},
            secrets=b"",
            revision=1,
            saved_at=START,
        )
        places = {access: pool_key(row, access) for access in Access}
        await self.bench.add(row, *(run_row(name) for name in "abcdef"))
        for access in Access:
            opened = open_connector(Nftables, settings, access)
            self.bench.rt.connections.get(places[access], lambda opened=opened: opened)  # type: ignore[misc]

    def call(self, run: str, target: str, *, restore: bool = False) -> StepCall:
        """Return the call that blocks, or unblocks, an address or a network."""
        kind = "network" if "/" in target else "address"
        return self.bench.call(
            CONNECTION,
            "firewall",
            f"{'unblock' if restore else 'block'}_{kind}",
            Effect.RESTORE if restore else Effect.CONTAIN,
            {kind: target},
            run=run,
            path="unblock" if restore else "block",
        )

    async def plan(self, run: str, target: str, *, restore: bool = False) -> PlanReply:
        """Plan the step."""
        request = PlanRequest(call=self.call(run, target, restore=restore), lease=True)
        return await ActivityEnvironment().run(PlanChange(self.bench.rt).plan, request)

    async def block(self, run: str, target: str) -> PlanReply:
        """Plan, apply and verify a block."""
        return await self._do(run, target, restore=False)

    async def unblock(self, run: str, target: str) -> PlanReply:
        """Plan, apply and verify an unblock."""
        return await self._do(run, target, restore=True)

    async def release(
        self, run: str, path: str = "block", cause: LeaseEndReason = LeaseEndReason.ROLLED_BACK
    ) -> UndoReply:
        """End the lease of a run's step."""
        request = UndoRequest(run_id=run, path=path, cause=cause, reason="over", actor=f"run:{run}")
        return await ActivityEnvironment().run(UndoChange(self.bench.rt).undo, request)

    async def _do(self, run: str, target: str, *, restore: bool) -> PlanReply:
        call = self.call(run, target, restore=restore)
        planned = await self.plan(run, target, restore=restore)
        assert planned.busy is None
        if planned.change.changed:
            applied = await self.bench.apply(call, planned)
            assert applied.outcome == "applied", applied
            request = VerifyRequest(call=call, change=planned.change, output={})
            verified = await ActivityEnvironment().run(VerifyChange(self.bench.rt).verify, request)
            assert verified.verified, verified
        return planned


def addresses_of(elements: list[str]) -> set[str]:
    """Return the addresses of a set's elements: `a`, `a-b` or `a/n`."""
    found: set[str] = set()
    for element in elements:
        if "/" in element:
            found |= {str(address) for address in ip_network(element)}
            continue
        first, _, last = element.partition("-")
        low, high = ip_address(first), ip_address(last or first)
        found |= {str(low + step) for step in range(int(high) - int(low) + 1)}
    return found
