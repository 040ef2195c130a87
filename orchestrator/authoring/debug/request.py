"""The request for a debug session: a playbook with an alert or inputs, checked and loaded."""

from __future__ import annotations

import json
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from orchestrator.authoring.rehearsal.rehearse import build_alert
from orchestrator.authoring.rehearsal.tests_yaml.model import CaseInput
from orchestrator.contracts.debug import DebugInput
from orchestrator.contracts.run import RunContext, RunInput
from orchestrator.domain.alert import Severity
from orchestrator.domain.digest import new_id
from orchestrator.domain.errors import Conflict, Invalid, NotFound, TocsinError
from orchestrator.domain.run import Mode
from orchestrator.intake.parsers import parser_for
from orchestrator.playbook.compile.inputs import accept_inputs
from orchestrator.playbook.plan import Plan
from orchestrator.playbook.schema.fields import AuthoredModel
from orchestrator.registry.analysis import compile_draft
from orchestrator.runtime import Runtime
from orchestrator.store.queries import incidents, runs
from orchestrator.store.tables import AlertRow

SESSION_PREFIX = "dbg"
"""The prefix of the ids of sessions."""


class BeginSession(AuthoredModel):
    """A draft (`text`) or a published version (`name`), with an alert or inputs."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "name": "c2-beacon-containment",
                "alert_id": "alert_019a8c7d",
                "breakpoints": ["contain/block"],
            }
        }
    )

    text: Annotated[
        str | None, Field(max_length=256 * 1024, description="The playbook's YAML.")
    ] = None
    name: Annotated[
        str | None, Field(min_length=1, max_length=64, description="A published playbook.")
    ] = None
    version: Annotated[
        int | None, Field(ge=1, le=2**31 - 1, description="Default: the one that takes alerts.")
    ] = None
    alert_id: Annotated[
        str | None, Field(min_length=1, max_length=200, description="An alert of this instance.")
    ] = None
    alert: Annotated[
        dict[str, Any] | None,
        Field(description="An alert: as its product sends it, or fields of the normal form."),
    ] = None
    product: Annotated[
        str | None,
        Field(min_length=1, max_length=64, description="The product whose format `alert` has."),
    ] = None
    inputs: Annotated[
        dict[str, Any], Field(description="The inputs of a playbook that a person starts.")
    ] = {}
    breakpoints: Annotated[
        list[str],
        Field(max_length=200, description="Paths of steps; without any, every step is one."),
    ] = []

    @model_validator(mode="after")
    def _is_unambiguous(self) -> Self:
        if (self.text is None) == (self.name is None):
            message = "set either `text` or `name`"
            raise ValueError(message)
        if self.alert_id is not None and self.alert is not None:
            message = "set either `alert_id` or `alert`"
            raise ValueError(message)
        return self


async def prepare_session(rt: Runtime, request: BeginSession, person: str) -> DebugInput:
    """Return what the session starts with.

    Raises NotFound, Conflict (no alert for a playbook with a trigger), Invalid, PlaybookInvalid.
    """
    plan = await _load_plan(rt, request)
    row = await _load_alert(rt, request.alert_id)
    alert = row.view if row else _given_alert(request)
    if plan.trigger is not None and alert is None:
        raise Conflict(f"{plan.playbook} needs an alert; set `alert_id` or `alert`")
    context = RunContext.of_plan(
        plan,
        run_id=new_id(SESSION_PREFIX),
        mode=Mode.DRY_RUN,
        source=row.source if row else None,
        severity=_severity(alert),
        started_by=f"person:{person}",
        incident_id=row.incident_id if row else None,
    )
    run = RunInput(
        run=context,
        plan=plan,
        alert=alert,
        inputs=accept_inputs(plan.inputs, request.inputs),
        started_at=rt.clock(),
    )
    return DebugInput(run=run, alert_id=request.alert_id, breakpoints=tuple(request.breakpoints))


async def _load_plan(rt: Runtime, request: BeginSession) -> Plan:
    if request.text is not None:
        return (await compile_draft(rt, request.text, "playbook.yaml")).plan
    async with rt.store.read() as session:
        row = await runs.get_playbook(session, str(request.name), request.version)
    if row is None:
        version = f" version {request.version}" if request.version else ""
        raise NotFound(
            f"playbook {request.name}{version} does not exist; see `tocsin playbook list`"
        )
    return Plan.model_validate(row.plan)


async def _load_alert(rt: Runtime, alert_id: str | None) -> AlertRow | None:
    if alert_id is None:
        return None
    async with rt.store.read() as session:
        row = await incidents.get_alert(session, alert_id)
    if row is None:
        raise NotFound(f"alert {alert_id} does not exist")
    return row


def _given_alert(request: BeginSession) -> dict[str, Any] | None:
    """Return the alert of a request. Raises Invalid."""
    if request.alert is None:
        return None
    if request.product is None:
        return build_alert(CaseInput(alert=request.alert), _no_file)
    parser_for(request.product)  # raises for an unknown product, before the alert is parsed
    body = json.dumps(request.alert).encode()
    try:
        return build_alert(
            CaseInput(file="alert.json", product=request.product), lambda _name: body
        )
    except (TocsinError, IndexError) as error:
        raise Invalid(f"alert: {error or 'it contains no alert'}") from error


def _severity(alert: dict[str, Any] | None) -> int:
    found = (alert or {}).get("severity") or 0
    if not isinstance(found, int) or not 0 <= found <= max(Severity):
        raise Invalid(f"alert: severity is a number from 0 to {max(Severity):d}")
    return found


def _no_file(name: str) -> bytes:
    raise NotFound(f"{name}: a debug session has no files")
