"""The people of the demo, who decide each approval as the script says, with keys of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from orchestrator.cli.demo.api import RetryingApi

COMMENT = {
    "approve": "alert and change reviewed: go ahead",
    "decline": "this is expected behaviour: leave it alone",
}


class DemoPeople:
    """Decides approvals through the API until the task that runs `decide` is cancelled."""

    def __init__(
        self,
        observer: RetryingApi,
        approvers: list[RetryingApi],
        choose: Callable[[dict[str, Any]], str],
        report: Callable[[str], None],
    ) -> None:
        self._observer, self._approvers, self._choose = observer, approvers, choose
        self._report = report
        self.decisions: dict[str, str] = {}
        """By run id."""
        self._done: set[str] = set()

    async def decide(self) -> None:
        """Look for pending approvals four times a second."""
        while True:
            for approval in await self._observer.items("/v1/approvals", state="pending"):
                if approval["id"] not in self._done:
                    await self._decide(approval)
            await asyncio.sleep(0.25)

    async def _decide(self, approval: dict[str, Any]) -> None:
        run = await self._observer.get(f"/v1/runs/{approval['run_id']}")
        decision = self._choose(run)
        body = {"decision": decision, "digest": approval["digest"], "comment": COMMENT[decision]}
        count = approval.get("quorum", 1) if decision == "approve" else 1
        for person in self._approvers[:count]:
            # 409: a decision whose reply was lost has already been recorded.
            await person.post(f"/v1/approvals/{approval['id']}/decide", body, accept=(409,))
        self._done.add(approval["id"])
        self.decisions[run["id"]] = decision
        self._report(f"asked     {approval['question'].strip()}  -> {decision}d")
