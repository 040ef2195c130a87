"""Which debug sessions are open in this process? A few at most, each somebody's own, in staging only; none outlives the process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from temporalio.client import Client

from orchestrator.audit import trail
from orchestrator.authoring.debug.session import Session
from orchestrator.authoring.debug.state import Command, DebugState
from orchestrator.authoring.rehearsal.rehearse import alert_of
from orchestrator.authoring.rehearsal.tests_yaml.model import Given
from orchestrator.contracts.messages import RunContext, RunInput
from orchestrator.domain.alert import Severity
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.digest import new_id
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, NotFound, TocsinError
from orchestrator.domain.run import Mode
from orchestrator.intake.parsers import parser_for
from orchestrator.playbook.compile.inputs import accept
from orchestrator.playbook.plan import Plan
from orchestrator.playbook.schema.fields import Written
from orchestrator.registry import playbooks
from orchestrator.runtime import Runtime
from orchestrator.store.queries import incidents, runs
from orchestrator.store.tables import AlertRow

MOST = 8
"""Sessions that are open at once; those that are over make room for new ones."""


class Begin(Written):
    """A draft (`text`) or a published version (`name`), and what it is about: an alert or inputs."""

    text: Annotated[
        str | None, Field(max_length=256 * 1024, description="The playbook's YAML.")
    ] = None
    name: Annotated[
        str | None, Field(min_length=1, max_length=64, description="A published playbook.")
    ] = None
    version: Annotated[
        int | None, Field(ge=1, le=2**31 - 1, description="Which; else the newest.")
    ] = None
    alert_id: Annotated[
        str | None, Field(min_length=1, max_length=200, description="An alert that came here.")
    ] = None
    alert: Annotated[
        dict[str, Any] | None,
        Field(description="An alert: as its product sends it, or fields of the normal form."),
    ] = None
    product: Annotated[
        str | None,
        Field(min_length=1, max_length=64, description="Which product sends `alert` so."),
    ] = None
    inputs: Annotated[
        dict[str, Any], Field(description="The inputs of a playbook that is started by hand.")
    ] = {}
    breakpoints: Annotated[
        list[str],
        Field(max_length=200, description="Paths of steps; without any, it stops before each."),
    ] = []

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.text is None) == (self.name is None):
            message = "give `text` or `name`"
            raise ValueError(message)
        if self.alert_id is not None and self.alert is not None:
            message = "give `alert_id` or `alert`"
            raise ValueError(message)
        return self


class Sessions:
    """Those of one process."""

    def __init__(self, rt: Runtime, client: Callable[[], Client | None]) -> None:
        self._rt = rt
        self._client = client
        self._open: dict[str, Session] = {}

    async def begin(self, wish: Begin, *, person: str) -> DebugState:
        """Begins one. Raises Forbidden (not in staging), Conflict (too many), NotFound, Invalid, PlaybookInvalid."""
        self._in_staging()
        plan = await self._plan(wish)
        row = await self._alert(wish.alert_id)
        alert = row.view if row else _given_alert(wish)
        given = self._given(plan, row, alert, wish, person)
        self._make_room()
        session = self._open[given.run.run_id] = Session(
            self._rt, self._client, given, alert_id=wish.alert_id, person=person, on_end=self._ended
        )
        told = {
            "version": plan.version,
            "playbook_digest": plan.digest,
            "session": given.run.run_id,
            "alert": wish.alert_id,
        }
        await self._record(EventKind.DEBUG_STARTED, given, told)
        return await session.begin(wish.breakpoints)

    def state(self, session_id: str, *, person: str) -> DebugState:
        """How it stands. Raises NotFound, also for somebody else's."""
        return self._own(session_id, person).state()

    async def told(self, session_id: str, command: Command, *, person: str) -> DebugState:
        """One command. Raises NotFound, Forbidden, Conflict, Invalid."""
        self._in_staging()
        return await self._own(session_id, person).told(command)

    async def end(self, session_id: str, *, person: str) -> DebugState:
        """Ends it, and takes back what it applied unless it is kept. Raises NotFound."""
        session = self._own(session_id, person)
        state = await session.end()
        self._open.pop(session_id, None)
        return state

    async def close(self) -> None:
        """Ends all, as the process ends."""
        for session in list(self._open.values()):
            await session.end()
        self._open.clear()

    def _in_staging(self) -> None:
        if self._rt.settings.environment != "staging":
            raise Forbidden(
                'playbooks are debugged in staging only; set `environment = "staging"` on an installation of its own'
            )

    def _own(self, session_id: str, person: str) -> Session:
        session = self._open.get(session_id)
        if session is None or session.person != person:
            raise NotFound(f"you have no debug session {session_id}")
        return session

    def _make_room(self) -> None:
        for session_id in [each for each, session in self._open.items() if session.over][
            : max(0, len(self._open) - MOST + 1)
        ]:
            del self._open[session_id]
        if len(self._open) >= MOST:
            raise Conflict(
                f"{MOST} debug sessions are open; end one of them, or wait until one has been idle long enough"
            )

    async def _plan(self, wish: Begin) -> Plan:
        if wish.text is not None:
            return (await playbooks.check_playbook(self._rt, wish.text, "playbook.yaml")).plan
        async with self._rt.store.read() as session:
            row = await runs.playbook(session, str(wish.name), wish.version)
        if row is None:
            raise NotFound(
                f"there is no playbook {wish.name}"
                + (f" version {wish.version}" if wish.version else "")
            )
        return Plan.model_validate(row.plan)

    async def _alert(self, alert_id: str | None) -> AlertRow | None:
        if alert_id is None:
            return None
        async with self._rt.store.read() as session:
            row = await incidents.alert(session, alert_id)
        if row is None:
            raise NotFound(f"there is no alert {alert_id}")
        return row

    def _given(
        self,
        plan: Plan,
        row: AlertRow | None,
        alert: dict[str, Any] | None,
        wish: Begin,
        person: str,
    ) -> RunInput:
        if plan.trigger is not None and alert is None:
            raise Conflict(
                f"{plan.playbook} is written for an alert; give the id of one, or one itself"
            )
        run = RunContext(
            run_id=new_id("dbg"), attempt=1, playbook=plan.playbook, version=plan.version, plan_digest=plan.digest, mode=Mode.DRY_RUN,
            source=row.source if row else None, severity=_severity(alert), started_by=f"person:{person}",
            incident_id=row.incident_id if row else None,
        )  # fmt: skip
        return RunInput(
            run=run,
            plan=plan,
            alert=alert,
            inputs=accept(plan.inputs, wish.inputs),
            started_at=self._rt.clock(),
        )

    async def _ended(self, given: RunInput, state: DebugState) -> None:
        applied = [
            {"run": each.run_id, "path": each.path, "kept": each.kept} for each in state.applied
        ]
        told = {
            "version": given.run.version,
            "session": given.run.run_id,
            "result": state.result,
            "applied": applied,
        }
        await self._record(EventKind.DEBUG_ENDED, given, told)

    async def _record(self, kind: EventKind, given: RunInput, told: dict[str, Any]) -> None:
        async with self._rt.store.write() as session:
            await trail.record(
                session,
                kind,
                actor=given.run.started_by,
                subject=given.run.playbook,
                data=told,
                now=self._rt.clock(),
            )


def _given_alert(wish: Begin) -> dict[str, Any] | None:
    """Raises Invalid for what is no alert."""
    if wish.alert is None:
        return None
    if wish.product is None:
        return alert_of(Given(alert=wish.alert), _no_file)
    parser_for(wish.product)  # names those that there are, before the alert is looked at
    body = json.dumps(wish.alert).encode()
    try:
        return alert_of(Given(file="alert.json", product=wish.product), lambda _name: body)
    except (TocsinError, IndexError) as error:
        raise Invalid(f"alert: {error or 'there is none in what was sent'}") from error


def _severity(alert: dict[str, Any] | None) -> int:
    found = (alert or {}).get("severity") or 0
    if not isinstance(found, int) or not 0 <= found <= max(Severity):
        raise Invalid(f"alert: severity is a number from 0 to {max(Severity):d}")
    return found


def _no_file(name: str) -> bytes:
    raise NotFound(f"{name}: there are no files here")
