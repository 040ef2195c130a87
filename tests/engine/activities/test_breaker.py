"""The circuit breaker: an unusual source needs approvals, whatever was planned before."""

from __future__ import annotations

from pathlib import Path

from orchestrator.domain.change import Verdict
from orchestrator.policy.stops.circuit_breaker import reset_breaker
from orchestrator.store.tables import BreakerRow, TaskRow
from tests.harness.activity_rig import ActivityRig, rig


async def planned_many(bench: ActivityRig, count: int) -> None:
    """Add containments of another run for the same source."""
    for number in range(count):
        await bench.contained(
            bench.block(run="run_1", address=f"198.51.100.{number + 1}", path=f"block[{number}]")
        )


async def test_change_that_trips_the_breaker_needs_approval(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path) as bench:
        await bench.policy(
            {"breaker": {"within": "1h", "at_least": 4, "factor": 2, "compared_with": "1d"}}
        )
        await planned_many(bench, 3)
        call = bench.block(address="198.51.100.99", path="last")
        planned = await bench.plan(call)
        assert planned.verdict.outcome is Verdict.ALLOW  # a plan does not trip it
        assert await bench.rows(BreakerRow) == []
        reply = await bench.apply(call, planned)
        assert (reply.outcome, reply.verdict.outcome) == ("needs_approval", Verdict.ASK)
        [tripped] = await bench.rows(BreakerRow)
        [task] = await bench.rows(TaskRow)
        assert (tripped.source, task.subject, task.state) == (
            call.ref.run.source,
            call.ref.run.source,
            "open",
        )
        again = await bench.plan(bench.block(address="198.51.100.50", path="next"))
        assert again.verdict.outcome is Verdict.ASK
        assert any(tripped.reason in reason for reason in again.verdict.reasons)
        await reset_breaker(bench.rt, tripped.source, actor="person:ann")
        assert (await bench.apply(call, planned)).outcome == "applied"
