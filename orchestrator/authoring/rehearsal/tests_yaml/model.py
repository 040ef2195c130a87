"""What may stand in a tests.yaml: stubs of actions, and cases with what has to come of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from orchestrator.authoring.rehearsal.alert_fields import misfits
from orchestrator.authoring.rehearsal.tests_yaml.errors import told
from orchestrator.domain.errors import Invalid
from orchestrator.playbook.language.durations import LONGEST
from orchestrator.playbook.language.yaml import BadYaml, Document, load
from orchestrator.playbook.plan import Plan, Use
from orchestrator.playbook.problems import did_you_mean
from orchestrator.playbook.schema.fields import ActionName, Duration, PlaybookName, Written

Status = Literal["completed", "failed", "declined", "rolled_back"]


class Picked(Written):
    """An approval of some of the changes: by target, or as effects are written."""

    approve: Annotated[
        list[str],
        Field(
            max_length=200,
            description="The targets (or `connection.action target`) that are agreed with.",
        ),
    ]


Answer = Literal["approve", "decline", "expire"] | Picked | dict[str, Any]
"""What people say; a mapping is a filled form, or picks changes."""


class Stub(Written):
    """What an action does in a rehearsal. `output`: what a read answers, or what a change tells beside its planned_change."""

    output: Annotated[dict[str, Any], Field(description="The fields of the action's output.")] = {}
    outputs: Annotated[
        list[dict[str, Any]],
        Field(max_length=100, description="One for each call, in order; the last one stays."),
    ] = []
    changed: Annotated[bool, Field(description="Whether a change finds something to change.")] = (
        True
    )
    accepts_only: Annotated[
        bool, Field(description="Whether the system says yes and does nothing.")
    ] = False
    fails: Annotated[
        Literal["unavailable", "rejected", "unknown"] | None,
        Field(description="How it fails: to be tried again, for good, or with its reply lost."),
    ] = None

    times: Annotated[
        int | None, Field(ge=1, description="How often it fails before it works; left out: always.")
    ] = None

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if self.fails and self.times is None and (self.output or self.outputs):
            message = "a stub that always fails has no output; remove `output` or `fails`, or say how many `times` it fails"
            raise ValueError(message)
        if self.output and self.outputs:
            message = "`output` and `outputs` exclude each other; keep one"
            raise ValueError(message)
        if self.times is not None and self.fails is None:
            message = "`times` says how often it fails; say how with `fails`"
            raise ValueError(message)
        return self


class Given(Written):
    """The alert of a case: a file beside tests.yaml as a product sends it, or fields in the normal form; or inputs, without an alert."""

    file: Annotated[
        str | None,
        Field(description="Below the playbook's folder.", examples=["alerts/suricata.json"]),
    ] = None
    product: Annotated[str | None, Field(description="Which parser reads the file.")] = None
    alert: Annotated[
        dict[str, Any],
        Field(description="Fields laid over the alert; a mapping is laid over a mapping."),
    ] = {}
    inputs: Annotated[
        dict[str, Any], Field(description="Inputs of a run that is started by hand.")
    ] = {}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.file is None) != (self.product is None):
            message = "`file` and `product` go together; give both"
            raise ValueError(message)
        if self.file is not None and (
            PurePosixPath(self.file).is_absolute() or ".." in PurePosixPath(self.file).parts
        ):
            message = "the file has to lie below the playbook's folder"
            raise ValueError(message)
        return self


class Took(Written):
    """How long a run may take, in the rehearsal's own time."""

    at_least: Annotated[Duration, Field(description="Such as 15m.")] = 0
    at_most: Annotated[Duration | None, Field(description="Such as 1h.")] = None


class Expectation(Written):
    """What has to come of a case. Effects are written `connection.action target`, in any order. Left out: not looked at."""

    status: Annotated[Status, Field(description="How the run ends.")]
    applied: Annotated[
        list[str] | None,
        Field(description="The changes that were made, those taken back again included."),
    ] = None
    undone: Annotated[list[str] | None, Field(description="The changes that were taken back.")] = (
        None
    )
    asked: Annotated[
        list[str] | None, Field(description="For each question, in order, a part of its text.")
    ] = None
    released: Annotated[
        list[str] | None, Field(description="What was lifted because its time was up; see `after`.")
    ] = None
    order: Annotated[
        list[str] | None,
        Field(description="Some of the changes, in the order in which they have to be made."),
    ] = None
    results: Annotated[
        dict[str, Any] | None, Field(description="By the step's path, a part of its result.")
    ] = None
    took: Annotated[
        Duration | Took | None, Field(description="How long the run takes, in whole seconds.")
    ] = None


class Further(Written):
    """An alert that joins the incident while the run is at work."""

    after: Annotated[Duration, Field(description="How long after the run began; such as 10m.")]
    alert: Annotated[dict[str, Any], Field(description="Fields laid over the first alert.")] = {}


class Case(Written):
    """One run of the playbook. `decide` answers the questions in order; the last answer stands for all further ones."""

    name: Annotated[
        str, Field(min_length=1, max_length=200, description="What is shown, as a sentence.")
    ]
    given: Annotated[Given, Field(description="What starts the run.")] = Given()
    decide: Annotated[
        list[Answer], Field(description="How people answer; a mapping fills a form.")
    ] = []
    stubs: Annotated[
        dict[ActionName, Stub],
        Field(description="Stubs of this case, in the place of the general ones."),
    ] = {}
    assets: Annotated[
        list[dict[str, Any]],
        Field(max_length=200, description="What the inventory knows: type, value, kind, tags."),
    ] = []
    after: Annotated[
        Duration | None,
        Field(
            description="How long the case goes on after the run, so that leases end; such as 25h."
        ),
    ] = None
    until: Annotated[
        Literal["end of leases"] | None,
        Field(description="Instead of `after`: until every lease with an end is over."),
    ] = None
    alerts: Annotated[
        list[Further],
        Field(max_length=50, description="Further alerts, which `wait` for an event sees."),
    ] = []
    policy: Annotated[
        str | None,
        Field(description="The policy that judges, as YAML text; left out, the one that ships."),
    ] = None
    triggers: Annotated[
        bool,
        Field(description="Whether the alert fits the trigger; where it does not, nothing runs."),
    ] = True
    expect: Annotated[Expectation | None, Field(description="What has to come of it.")] = None

    @model_validator(mode="after")
    def _expects(self) -> Self:
        if self.triggers == (self.expect is None):
            message = "give `expect` where the run starts, and none with `triggers: false`"
            raise ValueError(message)
        if self.after is not None and self.until is not None:
            message = "`after` and `until` exclude each other; keep one"
            raise ValueError(message)
        return self

    @property
    def watched(self) -> timedelta:
        """How long leases are watched after the run."""
        return timedelta(seconds=LONGEST if self.until else self.after or 0)


class Cases(Written):
    """A whole tests.yaml."""

    playbook: Annotated[PlaybookName, Field(description="The playbook that is tried.")]
    stubs: Annotated[
        dict[ActionName, Stub],
        Field(description="What the actions do, unless a case says otherwise."),
    ] = {}
    cases: Annotated[list[Case], Field(min_length=1, max_length=500, description="The cases.")]


def read_cases(text: str, file: str, plan: Plan) -> Cases:
    """The cases of a playbook. Raises Invalid with file, line, column and mend of all that is wrong."""
    try:
        document = load(text)
    except BadYaml as error:
        raise Invalid(f"{file}:{error}") from error
    try:
        cases = Cases.model_validate(document.data)
    except ValidationError as error:
        wrong = told(error.errors(include_url=False), Cases)
        raise Invalid(
            "\n".join(line_of(file, document, place, words, key=key) for place, words, key in wrong)
        ) from None
    if problems := [
        *_wrong_names(cases, file, document, plan),
        *_wrong_alerts(cases, file, document),
    ]:
        raise Invalid("\n".join(problems))
    return cases


def actions_of(plan: Plan) -> set[str]:
    """Every `connection.action` that the plan can call, those of called playbooks included."""
    return {f"{use.connection}.{use.action}" for use in uses_in(plan.model_dump(mode="python"))}


def uses_in(node: Any) -> list[Use]:
    """All `use` steps in a dumped plan, wherever they stand."""
    if isinstance(node, dict):
        own = [Use.model_validate(node)] if node.get("kind") == "use" else []
        return own + [use for value in node.values() for use in uses_in(value)]
    return (
        [use for value in node for use in uses_in(value)] if isinstance(node, list | tuple) else []
    )


def _wrong_names(cases: Cases, file: str, document: Document, plan: Plan) -> list[str]:
    known = actions_of(plan)
    found = (
        []
        if cases.playbook == plan.playbook
        else [
            line_of(file, document, ("playbook",), f"the playbook beside it is {plan.playbook!r}")
        ]
    )
    places = [
        (("stubs",), cases.stubs),
        *((("cases", number, "stubs"), case.stubs) for number, case in enumerate(cases.cases)),
    ]
    for path, stubs in places:
        for name in stubs:
            if name not in known:
                mend = did_you_mean(name, known)
                words = f"the playbook does not use {name!r}" + (f"; {mend}" if mend else "")
                found.append(line_of(file, document, (*path, name), words, key=True))
    return found


def _wrong_alerts(cases: Cases, file: str, document: Document) -> Iterator[str]:
    for number, case in enumerate(cases.cases):
        places: list[tuple[tuple[str | int, ...], dict[str, Any]]] = [
            (("given", "alert"), case.given.alert)
        ]
        places += [
            (("alerts", each, "alert"), further.alert) for each, further in enumerate(case.alerts)
        ]
        for place, said in places:
            for misfit in misfits(said):
                yield line_of(
                    file,
                    document,
                    ("cases", number, *place, *misfit.path),
                    f"case {case.name!r}: {misfit}",
                    key=True,
                )


def line_of(
    file: str, document: Document, path: tuple[str | int, ...], words: str, *, key: bool = False
) -> str:
    """A problem with its file, line and column."""
    place = document.at(path, key=key)
    return f"{file}:{place.line}:{place.column}: {words}"
