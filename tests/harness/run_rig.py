"""A rig for whole runs: Temporal's time-skipping server, real workflows, a world in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from orchestrator.contracts.run import RunContext, RunInput, RunResult
from orchestrator.domain.run import Mode
from orchestrator.engine.temporal.registry import WORKFLOWS, workflow_runner
from orchestrator.engine.temporal.workflows.run_playbook import RunPlaybook
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.compile.compiler import compile_playbook
from orchestrator.playbook.plan import Plan
from tests.harness.world import MemoryWorld

HEAD = "playbook: tried\nversion: 1\ntitle: Tried\nowner: soc\n"


class RunRig:
    def __init__(
        self, server: WorkflowEnvironment, world: MemoryWorld, catalogue: Catalogue
    ) -> None:
        self.server, self.world, self.catalogue = server, world, catalogue

    def given(
        self,
        body: str,
        mode: Mode = Mode.LIVE,
        carried: dict[str, Any] | None = None,
        inputs: dict[str, Any] | None = None,
        called: Plan | None = None,
    ) -> RunInput:
        compiled = compile_playbook(
            HEAD + body, "tried.yaml", self.catalogue, lambda _name, _version: called
        )
        about = {
            "run_id": "run_1",
            "attempt": 1,
            "playbook": "tried",
            "version": 1,
            "plan_digest": compiled.plan.digest,
        }
        run = RunContext(**about, mode=mode, source=None, severity=4, started_by="person:test")
        return RunInput(
            run=run,
            plan=compiled.plan,
            alert=None,
            inputs=inputs or {},
            started_at=datetime.now(UTC),
            carried=carried or {},
        )

    def plan(self, text: str) -> Plan:
        return compile_playbook(
            text, "called.yaml", self.catalogue, lambda _name, _version: None
        ).plan

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait in real time, while the server's clock stands still."""
        with self.server.auto_time_skipping_disabled():
            while not holds():
                await asyncio.sleep(0.01)

    async def run(self, body: str, **more: Any) -> RunResult:
        async with self.worker():
            return await (await self.start(self.given(body, **more))).result()

    def worker(self, **more: Any) -> Worker:
        return Worker(
            self.server.client,
            task_queue="t",
            workflows=list(WORKFLOWS),
            activities=self.world.activities(),
            workflow_runner=workflow_runner(),
            **more,
        )

    async def start(self, given: RunInput) -> WorkflowHandle[Any, RunResult]:
        return await self.server.client.start_workflow(
            RunPlaybook.run, given, id="run-run_1-1", task_queue="t"
        )

    async def took(self, handle: WorkflowHandle[Any, Any]) -> timedelta:
        """Return the time it took, both moments as the server recorded them."""
        description = await handle.describe()
        return description.close_time - description.start_time
