"""What did a debug session apply, and how does it come off again? Each step in a live run of its own, taken back at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from temporalio.client import Client

from orchestrator.authoring.debug import apply_step
from orchestrator.authoring.debug.state import Applied
from orchestrator.authoring.debug.stepper import Foreseen, Instead
from orchestrator.contracts.messages import PlanReply, RunInput
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import TocsinError
from orchestrator.domain.run import RunStatus
from orchestrator.playbook.plan import AnyStep, Use
from orchestrator.policy.load_inputs import LOOKUPS
from orchestrator.runtime import Runtime

_MOST_LOOKED_UP = 20
_UNDONE = {Effect.CONTAIN, Effect.RESTORE}
_log = structlog.get_logger(__name__)


class AppliedSteps:
    """Those of one session. `busy`: one is being carried out now; `said`: how the last one went."""

    def __init__(
        self,
        rt: Runtime,
        client: Callable[[], Client | None],
        given: RunInput,
        alert_id: str | None,
    ) -> None:
        self.busy = False
        self.said: str | None = None
        self._rt = rt
        self._client = client
        self._given = given
        self._alert_id = alert_id
        self._looked_up: dict[str, tuple[Use, dict[str, Any]]] = {}
        self._by_run: dict[str, Applied] = {}
        self._keep = False

    def told(self) -> tuple[Applied, ...]:
        """All of them, in their order."""
        return tuple(self._by_run.values())

    def keep(self) -> None:
        """From now on none is taken back at the end, also of those before."""
        self._keep = True
        self._by_run = {
            run_id: each.model_copy(update={"kept": True}) for run_id, each in self._by_run.items()
        }

    def note_look_up(self, step: AnyStep, foreseen: Callable[[], Foreseen] | None) -> None:
        """What a target is else known as decides whether it may be touched: a step that is applied looks it up itself."""
        if (
            isinstance(step, Use)
            and step.action in LOOKUPS
            and foreseen is not None
            and len(self._looked_up) < _MOST_LOOKED_UP
        ):
            with suppress(TocsinError):
                call = foreseen().call
                self._looked_up[call.ref.path] = (step, call.input)

    async def apply(self, step: Use, foreseen: Foreseen, planned: PlanReply) -> Instead | None:
        """The step's result, once its run has ended well; None otherwise."""
        run = self._given.run
        wish = apply_step.Wish(
            draft=self._given.plan, step=step, call=foreseen.call, question=foreseen.question,
            looked_up=tuple(self._looked_up.values()), alert_id=self._alert_id, session_id=run.run_id, actor=run.started_by,
        )  # fmt: skip
        self.busy = True
        try:
            run_id = await self._started(wish, planned.change.target.value)
            status, error = await apply_step.ended(self._rt, run_id)
            self._by_run[run_id] = self._by_run[run_id].model_copy(update={"status": status.value})
            self.said = f"run {run_id} is {status.value}" + (f": {error}" if error else "")
            return (
                Instead(await apply_step.result_of(self._rt, run_id, step.id))
                if status is RunStatus.COMPLETED
                else None
            )
        except TocsinError as error:
            self.said = str(error)
            return None
        finally:
            self.busy = False

    async def _started(self, wish: apply_step.Wish, target: str) -> str:
        """The id of its run. A session that ends meanwhile waits until it is known, so that it is taken back too."""
        starting = asyncio.ensure_future(apply_step.start_step(self._rt, self._client(), wish))
        try:
            await asyncio.shield(starting)
        finally:
            run_id = await starting
            self._by_run[run_id] = Applied(
                path=wish.call.ref.path, target=target, run_id=run_id, status=RunStatus.RUNNING,
                can_be_undone=wish.step.effect in _UNDONE, kept=self._keep,
            )  # fmt: skip
        return run_id

    async def take_back(self) -> None:
        """All that is not kept. Raises nothing: what does not come off now, its lease ends."""
        for run_id, each in self._by_run.items():
            if each.kept or each.taken_back:
                continue
            try:
                await apply_step.take_back(
                    self._rt, self._client(), run_id, self._given.run.started_by
                )
                self._by_run[run_id] = each.model_copy(update={"taken_back": each.can_be_undone})
            except Exception as error:  # noqa: BLE001 - of the store, of Temporal or a mistake of ours: none may keep the others from coming off
                _log.warning(
                    "what a debug session applied is left to its lease",
                    run=run_id,
                    error=type(error).__name__,
                )
