"""`tocsin run watch` prints each change of a run once, and ends with the run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from orchestrator.cli.commands.respond.run_watch import Seen, step_changes
from orchestrator.domain.run import RunStatus
from orchestrator.runtime import open_runtime
from orchestrator.store.tables import RunRow, StepRow
from tests.harness.api_server import ApiServer
from tests.harness.commands import tocsin

GOOD = "run_01a2248758b954821a4e639167404b72"
BAD = "run_01a22487aab954821a4e639167404b72"
AT = "2026-01-02T03:04:05Z"


def step(state: str, **more: Any) -> dict[str, Any]:
    waits = {"waiting_for": None, "error": None, "planned_change": None, "ended_at": None}
    return {"id": "block", "state": state, "started_at": AT, **waits, **more}


def test_each_change_of_a_step_is_one_line() -> None:
    seen: Seen = {}

    def lines(given: dict[str, Any]) -> list[str]:
        return [line.partition("  ")[2] for line in step_changes(seen, {"steps": [given]})]

    retry = {"kind": "retry", "error": "busy", "attempt": 1, "attempts": 3, "retry_at": AT}
    assert lines(step("running")) == ["block: running"]
    assert lines(step("running")) == []
    (waits,) = lines(step("running", waiting_for=retry))
    assert waits.startswith("block: running: try 2 of 3 at ")
    assert waits.endswith(": busy")
    done = step("verified", planned_change={"summary": "block 192.0.2.1"}, ended_at=AT)
    assert lines(done) == ["block: verified: block 192.0.2.1"]


def test_watch_ends_with_the_run_and_says_how(server: ApiServer) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    async def store() -> None:
        rt = open_runtime(server.settings)
        try:
            async with rt.store.write() as session:
                for name, status in (
                    (GOOD, RunStatus.COMPLETED),
                    (BAD, RunStatus.FAILED),
                ):
                    run = RunRow(
                        id=name,
                        playbook="watched",
                        version=1,
                        plan_digest="",
                        severity=3,
                        status=status,
                        started_by="person:ann",
                        created_at=at,
                        ended_at=at,
                    )
                    told = StepRow(
                        run_id=run.id,
                        path="tell",
                        kind="use",
                        state="done",
                        seq=1,
                        started_at=at,
                        ended_at=at,
                    )
                    session.add_all([run, told])
        finally:
            await rt.close()

    asyncio.run(store())
    here = ("--data-dir", server.settings.data_dir)
    good = tocsin("run", "watch", GOOD[:16], *here)  # as a table shows it
    assert good.returncode == 0, good.stderr
    first, change, last = good.stdout.splitlines()
    assert first == last == f"{GOOD}: watched version 1, completed"
    assert change.endswith("  tell: done")
    assert tocsin("run", "watch", BAD, *here).returncode == 1
    both = tocsin("run", "show", GOOD[:12], *here)
    assert both.returncode == 1
    assert "several runs begin with run_01a22487; give more of the id" in both.stderr
