"""How does somebody step through a draft? One session: the playbook stands still before its steps, and goes on as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import structlog
from temporalio.client import Client

from orchestrator.authoring.debug.applied import AppliedSteps
from orchestrator.authoring.debug.port import DebugPort
from orchestrator.authoring.debug.state import At, Command, DebugState, planned_of
from orchestrator.authoring.debug.stepper import Foreseen, Go, Instead, Order, Skip, Stepping
from orchestrator.authoring.rehearsal.coverage import plain
from orchestrator.contracts.messages import PlanReply, RunInput, StepRef
from orchestrator.domain.errors import Conflict, Invalid, TocsinError
from orchestrator.domain.masking import masked
from orchestrator.engine.decide.scope import Place
from orchestrator.playbook.language.evaluate import evaluate
from orchestrator.playbook.plan import AnyStep, Ask, Call, Use, Wait
from orchestrator.runtime import Runtime

IDLE_SECONDS = 900
"""After so long without a command a session is over, and what it applied is taken back."""
PATIENCE_SECONDS = 20.0
"""How long a command waits for the next stop before it says that the session is at work."""
_MOST_SHOWN = 20_000
_log = structlog.get_logger(__name__)


class Session:
    """One person's. Nothing is applied but by the command `apply`, and that is taken back at the end unless it is kept."""

    def __init__(
        self,
        rt: Runtime,
        client: Callable[[], Client | None],
        given: RunInput,
        *,
        alert_id: str | None,
        person: str,
        on_end: Callable[[RunInput, DebugState], Awaitable[None]],
    ) -> None:
        self.person = person
        self._on_end = on_end
        self._given = given
        self._alert_id = alert_id
        self._port = DebugPort(rt, given.run, self._interpreter)
        self._orders: asyncio.Queue[Command] = asyncio.Queue()
        self._turn = asyncio.Lock()
        self._stopped = asyncio.Event()  # set while it stands still, or is over
        self._breakpoints: dict[str, None] = {}
        self._stepping = True
        self._at: At | None = None
        self._planned: PlanReply | None = None
        self._foreseen: Foreseen | None = None
        self._place: Place | None = None
        self._applied = AppliedSteps(rt, client, given, alert_id)
        self._said: str | None = None
        self._ended: tuple[str, str | None] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def over(self) -> bool:
        """Whether nothing can be told it any more."""
        return self._ended is not None

    def state(self) -> DebugState:
        """As it stands."""
        standing: Any = (
            "over"
            if self.over
            else "applying"
            if self._applied.busy
            else "paused"
            if self._at
            else "working"
        )
        result, error = self._ended or (None, None)
        return DebugState(
            id=self._given.run.run_id, playbook=self._given.plan.playbook, version=self._given.plan.version, standing=standing,
            at=self._at, steps=tuple(self._port.notes.values()), breakpoints=tuple(self._breakpoints),
            applied=self._applied.told(), said=self._said, result=result, error=error,
        )  # fmt: skip

    async def begin(self, breakpoints: list[str]) -> DebugState:
        """Goes to the first step, or to the first breakpoint where there are any."""
        self._breakpoints = dict.fromkeys(breakpoints)
        self._stepping = not breakpoints
        self._task = asyncio.create_task(self._whole())
        return await self._settled()

    async def told(self, command: Command) -> DebugState:
        """Does what it is told. Raises Conflict (over, at work), Invalid (a command that makes no sense here)."""
        if self.over:
            raise Conflict("the debug session is over; begin another")
        self._said = None
        match command.command:
            case "break":
                self._breakpoints[str(command.path)] = None
                return self.state()
            case "clear":
                self._breakpoints.pop(str(command.path), None)
                return self.state()
            case "keep":
                self._applied.keep()
                self._said = "what this session applies stays after its end, until its lease of an hour is over"
                return self.state()
        if self._at is None or self._applied.busy:
            raise Conflict("the debug session is at work; look again in a moment, or end it")
        if command.command == "show":
            self._said = self._shown(str(command.expression))
            return self.state()
        self._check(command)
        self._stopped.clear()
        self._orders.put_nowait(command)
        return await self._settled()

    async def end(self) -> DebugState:
        """Ends it; what it applied is taken back, unless it is kept."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        return self.state()

    async def reached(
        self, step: AnyStep, ref: StepRef, place: Place, foreseen: Callable[[], Foreseen] | None
    ) -> Order:
        """The gate before each step: one branch after the other stands at it."""
        async with self._turn:
            if (
                not self._stepping
                and not {ref.path, plain(ref.path), step.id} & self._breakpoints.keys()
            ):
                self._applied.note_look_up(step, foreseen)
                return Go()
            self._place = place
            self._at = await self._look(step, ref, foreseen)
            self._stopped.set()
            try:
                return await self._ordered(step, foreseen)
            finally:
                self._at = self._planned = self._foreseen = self._place = None

    async def _ordered(self, step: AnyStep, foreseen: Callable[[], Foreseen] | None) -> Order:
        while True:
            async with asyncio.timeout(IDLE_SECONDS):
                command = await self._orders.get()
            self._stepping = command.command != "continue"
            match command.command:
                case "skip":
                    return Skip()
                case "override":
                    return Instead(command.result)
                case "apply":
                    if (done := await self._apply(step)) is not None:
                        return done
                    self._stopped.set()  # it stands where it stood
                case _:
                    self._applied.note_look_up(step, foreseen)
                    return Go()

    async def _look(
        self, step: AnyStep, ref: StepRef, foreseen: Callable[[], Foreseen] | None
    ) -> At:
        about = At(path=ref.path, kind=step.kind)
        if not isinstance(step, Use) or foreseen is None:
            return about
        about = about.model_copy(
            update={"uses": f"{step.connection}.{step.action}", "effect": step.effect.value}
        )
        try:
            self._foreseen = found = foreseen()
            asked = found.question.text if found.question else None
            about = about.model_copy(update={"inputs": masked(found.call.input), "asked": asked})
            if step.effect.changes:
                self._planned = await self._port.plan(step, found.call, lease=False, hold=None)
                about = about.model_copy(update={"planned": planned_of(self._planned)})
        except TocsinError as error:
            return about.model_copy(update={"problem": str(error)})
        return about

    async def _apply(self, step: AnyStep) -> Order | None:
        if not isinstance(step, Use) or self._foreseen is None or self._planned is None:
            return None
        done = await self._applied.apply(step, self._foreseen, self._planned)
        self._said = self._applied.said
        return done

    async def _whole(self) -> None:
        """To the end of the playbook or of the session."""
        ended: tuple[str, str | None] = ("ended", None)
        try:
            found = await self._interpreter(1).whole()
            ended = (found.status.value, found.error)
        except TimeoutError:
            ended = ("ended", f"nobody said anything for {IDLE_SECONDS // 60} minutes")
        except Exception as error:  # noqa: BLE001 - nobody awaits this task: what a draft or a connector does wrong is told to the person, here or never
            _log.warning(
                "a debug session failed",
                session=self._given.run.run_id,
                error=type(error).__name__,
                exc_info=error,
            )
            ended = ("ended", f"the session failed ({type(error).__name__}); the log tells more")
        finally:
            await asyncio.shield(asyncio.ensure_future(self._over(ended)))

    async def _over(self, ended: tuple[str, str | None]) -> None:
        await self._applied.take_back()
        self._ended = ended
        try:
            await self._on_end(self._given, self.state())
        finally:
            self._stopped.set()

    async def _settled(self) -> DebugState:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._stopped.wait()
        return self.state()

    def _interpreter(self, next_seq: int) -> Stepping:
        return Stepping(self._port, self._given.model_copy(update={"next_seq": next_seq}), self)

    def _check(self, command: Command) -> None:
        step_kind = self._at.kind if self._at else ""
        if command.command == "override" and step_kind not in {
            kind.model_fields["kind"].default for kind in (Use, Ask, Wait, Call)
        }:
            raise Invalid(
                f"a {step_kind} comes to what its steps come to; override one of those, or skip it"
            )
        if command.command == "apply":
            self._check_apply(str(command.target))

    def _check_apply(self, target: str) -> None:
        if self._planned is None:
            raise Invalid(
                "there is nothing to apply here: only a step that changes something, and whose change can be told, is applied"
            )
        if self._given.alert is not None and self._alert_id is None:
            raise Invalid(
                "a step is applied on an alert that Tocsin has received; send it to a source here, and debug with its id"
            )
        if target != self._planned.change.target.value:
            raise Invalid(
                f"type the target as it stands in the planned_change: {self._planned.change.target.value}"
            )

    def _shown(self, text: str) -> str:
        if (note := self._port.notes.get(text)) is not None:
            return note.model_dump_json(indent=2)[:_MOST_SHOWN]
        if self._place is None:
            raise Conflict("the debug session is at work; look again in a moment")
        found = masked(evaluate(f"${{{{ {text} }}}}", self._place.scope()))
        return json.dumps(found, indent=2, ensure_ascii=False, default=str)[:_MOST_SHOWN]
