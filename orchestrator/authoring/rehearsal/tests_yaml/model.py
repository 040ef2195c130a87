"""The model of tests.yaml: stubs of actions, and cases with their expectations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from orchestrator.authoring.rehearsal.alert_fields import overlay
from orchestrator.playbook.language.durations import LONGEST
from orchestrator.playbook.schema.fields import ActionName, AuthoredModel, Duration, PlaybookName

Status = Literal["completed", "failed", "declined", "rolled_back"]


class PartialApproval(AuthoredModel):
    """An approval of some of the changes: by target, or as effects are written."""

    approve: Annotated[
        list[str],
        Field(
            max_length=200,
            description="The approved targets (or `connection.action target`).",
        ),
    ]


Answer = Literal["approve", "decline", "expire"] | PartialApproval | dict[str, Any]
"""A person's answer; a mapping fills a form, or approves some of the changes."""


class Stub(AuthoredModel):
    """What an action does in a rehearsal."""

    output: Annotated[dict[str, Any], Field(description="The fields of the action's output.")] = {}
    outputs: Annotated[
        list[dict[str, Any]],
        Field(max_length=100, description="One per call, in order; the last one repeats."),
    ] = []
    changed: Annotated[bool, Field(description="Whether a change finds something to change.")] = (
        True
    )
    accepts_only: Annotated[
        bool, Field(description="Whether the system accepts the change but does not apply it.")
    ] = False
    fails: Annotated[
        Literal["unavailable", "rejected", "unknown"] | None,
        Field(description="How it fails: temporarily, for good, or with its reply lost."),
    ] = None

    times: Annotated[
        int | None, Field(ge=1, description="How often it fails before it works; default: always.")
    ] = None

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if self.fails and self.times is None and (self.output or self.outputs):
            message = (
                "a stub that always fails has no output; remove `output` or `fails`, "
                "or set how many `times` it fails"
            )
            raise ValueError(message)
        if self.output and self.outputs:
            message = "`output` and `outputs` are mutually exclusive; keep one"
            raise ValueError(message)
        if self.times is not None and self.fails is None:
            message = "`times` needs `fails`, which says how it fails"
            raise ValueError(message)
        return self


class AlertInput(AuthoredModel):
    """An alert: a file as a product sends it, fields, or fields laid over a file."""

    file: Annotated[
        str | None,
        Field(
            description="A file below the playbook's folder, as a product sends it.",
            examples=["alerts/suricata.json"],
        ),
    ] = None
    product: Annotated[str | None, Field(description="Which parser reads the file.")] = None
    alert: Annotated[
        dict[str, Any],
        Field(description="Fields laid over the alert, mappings key by key."),
    ] = {}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.file is None) != (self.product is None):
            message = "`file` and `product` go together; set both"
            raise ValueError(message)
        if self.file is not None and (
            PurePosixPath(self.file).is_absolute() or ".." in PurePosixPath(self.file).parts
        ):
            message = "the file must be below the playbook's folder"
            raise ValueError(message)
        return self


class CaseInput(AlertInput):
    """What starts the run: an alert, by name or in place, or inputs without an alert."""

    named: Annotated[
        str | None,
        Field(
            description="One of the file's `alerts`; `alert` lays fields over it.",
            examples=["beacon"],
        ),
    ] = None
    inputs: Annotated[
        dict[str, Any], Field(description="Inputs of a run that a person starts.")
    ] = {}

    @model_validator(mode="after")
    def _one_alert(self) -> Self:
        if self.named is not None and self.file is not None:
            message = "`named` and `file` are mutually exclusive; keep one"
            raise ValueError(message)
        return self


class DurationRange(AuthoredModel):
    """How long a run may take, in the rehearsal's own time."""

    at_least: Annotated[Duration, Field(description="Such as 15m.")] = 0
    at_most: Annotated[Duration | None, Field(description="Such as 1h.")] = None


class Expectation(AuthoredModel):
    """What a case expects; what is left out is not checked. Effects: `connection.action target`."""

    status: Annotated[Status, Field(description="How the run ends.")]
    applied: Annotated[
        list[str] | None,
        Field(description="The applied changes, in any order, those undone later included."),
    ] = None
    undone: Annotated[list[str] | None, Field(description="The undone changes.")] = None
    asked: Annotated[
        list[str] | None, Field(description="A part of the text of each question, in order.")
    ] = None
    released: Annotated[
        list[str] | None, Field(description="What was released at the end of its lease.")
    ] = None
    order: Annotated[
        list[str] | None,
        Field(description="Some of the changes, in the order in which they must be applied."),
    ] = None
    results: Annotated[
        dict[str, Any] | None, Field(description="Parts of results, by step path.")
    ] = None
    took: Annotated[
        Duration | DurationRange | None,
        Field(description="How long the run takes, in whole seconds."),
    ] = None


class FurtherAlert(AuthoredModel):
    """An alert that joins the incident during the run."""

    after: Annotated[Duration, Field(description="How long after the run began, such as 10m.")]
    alert: Annotated[dict[str, Any], Field(description="Fields laid over the first alert.")] = {}


class Case(AuthoredModel):
    """One run of the playbook."""

    name: Annotated[
        str, Field(min_length=1, max_length=200, description="What the case shows, as a sentence.")
    ]
    given: Annotated[CaseInput, Field(description="What starts the run.")] = CaseInput()
    decide: Annotated[
        list[Answer],
        Field(description="Answers in order; the last one repeats. A mapping fills a form."),
    ] = []
    stubs: Annotated[
        dict[ActionName, Stub],
        Field(description="Stubs of this case, which replace the general ones."),
    ] = {}
    assets: Annotated[
        list[dict[str, Any]],
        Field(max_length=200, description="What the inventory knows: type, value, kind, tags."),
    ] = []
    after: Annotated[
        Duration | None,
        Field(description="How long the case continues after the run, so that leases end (25h)."),
    ] = None
    until: Annotated[
        Literal["end of leases"] | None,
        Field(description="Instead of `after`: continue until every lease with an end is over."),
    ] = None
    alerts: Annotated[
        list[FurtherAlert],
        Field(max_length=50, description="Further alerts, which a `wait` for an event sees."),
    ] = []
    policy: Annotated[
        str | None,
        Field(description="The policy, as YAML text; default: the one that ships."),
    ] = None
    triggers: Annotated[
        bool,
        Field(description="Whether the alert fits the trigger; if not, nothing runs."),
    ] = True
    expect: Annotated[Expectation | None, Field(description="What the case expects.")] = None

    @model_validator(mode="after")
    def _expects(self) -> Self:
        if self.triggers == (self.expect is None):
            message = "set `expect` for a run that starts, and omit it with `triggers: false`"
            raise ValueError(message)
        if self.after is not None and self.until is not None:
            message = "`after` and `until` are mutually exclusive; keep one"
            raise ValueError(message)
        return self

    @property
    def watched(self) -> timedelta:
        """The time after the run in which leases are watched."""
        return timedelta(seconds=LONGEST if self.until else self.after or 0)


class CasesFile(AuthoredModel):
    """A whole tests.yaml."""

    playbook: Annotated[PlaybookName, Field(description="The playbook under test.")]
    stubs: Annotated[
        dict[ActionName, Stub],
        Field(description="What actions do, unless a case says otherwise."),
    ] = {}
    alerts: Annotated[
        dict[str, AlertInput],
        Field(max_length=100, description="Alerts that cases share, by the name in `named`."),
    ] = {}
    cases: Annotated[list[Case], Field(min_length=1, max_length=500, description="The cases.")]

    def with_alerts(self) -> Self:
        """Return the file with each named alert in the cases that name it."""
        return self.model_copy(
            update={"cases": [_with_alert(case, self.alerts) for case in self.cases]}
        )


def _with_alert(case: Case, alerts: Mapping[str, AlertInput]) -> Case:
    if case.given.named is None:
        return case
    shared = alerts[case.given.named]
    given = case.given.model_copy(
        update={
            "file": shared.file,
            "product": shared.product,
            "alert": overlay(shared.alert, case.given.alert),
        }
    )
    return case.model_copy(update={"given": given})
