"""Who answers in the demo? People with keys of their own, who see each question and answer it as the script says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from orchestrator.cli.demo.api import Api

ANSWER = {
    "approve": "seen the alert and the exact change: go on",
    "decline": "this one is expected: leave it alone",
}


class People:
    """Answers questions through the API until the task that runs `answer` is cancelled."""

    def __init__(
        self,
        watching: Api,
        answering: list[Api],
        wanted: Callable[[dict[str, Any]], str],
        say: Callable[[str], None],
    ) -> None:
        self._watching, self._answering, self._wanted, self._say = watching, answering, wanted, say
        self.asked: dict[str, str] = {}  # run id -> what was answered
        self._done: set[str] = set()

    async def answer(self) -> None:
        """Looks for new questions four times a second."""
        while True:
            for item in await self._watching.items("/v1/approvals", state="pending"):
                if item["id"] not in self._done:
                    await self._decide(item)
            await asyncio.sleep(0.25)

    async def _decide(self, item: dict[str, Any]) -> None:
        run = await self._watching.get(f"/v1/runs/{item['run_id']}")
        decision = self._wanted(run)
        body = {"decision": decision, "digest": item["digest"], "comment": ANSWER[decision]}
        people = (
            self._answering[: item.get("quorum", 1)]
            if decision == "approve"
            else self._answering[:1]
        )
        for person in people:
            # 409: an answer whose reply was lost has already counted.
            await person.post(f"/v1/approvals/{item['id']}/decision", body, accept=(409,))
        self._done.add(item["id"])
        self.asked[run["id"]] = decision
        self._say(f"asked     {item['question'].strip()}  -> {decision}d")
