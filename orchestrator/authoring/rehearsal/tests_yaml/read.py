"""Reading of tests.yaml: parsed and validated against the plan, problems with line and fix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from orchestrator.authoring.rehearsal.actions import spec_of
from orchestrator.authoring.rehearsal.alert_fields import field_problems
from orchestrator.authoring.rehearsal.tests_yaml.errors import Place, describe_errors
from orchestrator.authoring.rehearsal.tests_yaml.model import CasesFile
from orchestrator.domain.errors import Invalid
from orchestrator.playbook.language.yaml import BadYaml, Document, load
from orchestrator.playbook.plan import Plan, Use, walk
from orchestrator.playbook.problems import did_you_mean


def read_tests(text: str, file: str, plan: Plan) -> CasesFile:
    """Return the cases of a playbook. Raises Invalid with all problems."""
    try:
        document = load(text)
    except BadYaml as error:
        raise Invalid(f"{file}:{error}") from error
    try:
        cases = CasesFile.model_validate(document.data)
    except ValidationError as error:
        wrong = describe_errors(error.errors(include_url=False), CasesFile)
        raise Invalid(
            "\n".join(_line(file, document, place, text, key=key) for place, text, key in wrong)
        ) from None
    uses = [step for _, step in walk(plan) if isinstance(step, Use)]
    if problems := [
        *_wrong_names(cases, file, document, plan.playbook, uses),
        *_wrong_alerts(cases, file, document),
        *_unknown_alerts(cases, file, document),
    ]:
        raise Invalid("\n".join(problems))
    if problems := [*_wrong_outputs(document, file, uses)]:
        raise Invalid("\n".join(problems))
    return cases.with_alerts()


def case_lines(text: str) -> list[int]:
    """Return the line of each case."""
    document = load(text)
    return [
        document.at(("cases", number)).line for number in range(len(document.data.get("cases", [])))
    ]


def _wrong_names(
    cases: CasesFile, file: str, document: Document, playbook: str, uses: list[Use]
) -> Iterator[str]:
    if cases.playbook != playbook:
        yield _line(file, document, ("playbook",), f"the playbook next to it is {playbook!r}")
    known = {f"{use.connection}.{use.action}" for use in uses}
    for path, stubs in [
        (("stubs",), cases.stubs),
        *((("cases", number, "stubs"), case.stubs) for number, case in enumerate(cases.cases)),
    ]:
        for name in stubs:
            if name not in known:
                fix = did_you_mean(name, known)
                text = f"the playbook does not use {name!r}" + (f"; {fix}" if fix else "")
                yield _line(file, document, (*path, name), text, key=True)


def _wrong_alerts(cases: CasesFile, file: str, document: Document) -> Iterator[str]:
    for name, shared in cases.alerts.items():
        for problem in field_problems(shared.alert):
            path: Place = ("alerts", name, "alert", *problem.path)
            yield _line(file, document, path, f"alert {name!r}: {problem}", key=True)
    for number, case in enumerate(cases.cases):
        places: list[tuple[Place, dict[str, Any]]] = [(("given", "alert"), case.given.alert)]
        places += [
            (("alerts", each, "alert"), further.alert) for each, further in enumerate(case.alerts)
        ]
        for place, fields in places:
            for problem in field_problems(fields):
                yield _line(
                    file,
                    document,
                    ("cases", number, *place, *problem.path),
                    f"case {case.name!r}: {problem}",
                    key=True,
                )


def _unknown_alerts(cases: CasesFile, file: str, document: Document) -> Iterator[str]:
    for number, case in enumerate(cases.cases):
        name = case.given.named
        if name is not None and name not in cases.alerts:
            fix = did_you_mean(name, cases.alerts) or "add it to the file's `alerts`"
            text = f"case {case.name!r}: no alert is named {name!r}; {fix}"
            yield _line(file, document, ("cases", number, "given", "named"), text)


def _wrong_outputs(document: Document, file: str, uses: list[Use]) -> Iterator[str]:
    """Yield outputs of stubs that their actions cannot return."""
    specs = {f"{use.connection}.{use.action}": spec_of(use.capability, use.action) for use in uses}
    places: list[Place] = [
        ("stubs",),
        *(("cases", number, "stubs") for number in range(len(document.data["cases"]))),
    ]
    for path in places:
        for name, stub in (_value_at(document.data, path) or {}).items():
            spec = specs.get(name)
            if spec is None:
                continue
            for place, output in _outputs(stub):
                yield from _misfits(document, file, (*path, name, *place), spec.output, output)


def _outputs(stub: dict[str, Any]) -> Iterator[tuple[Place, Any]]:
    if stub.get("output"):
        yield ("output",), stub["output"]
    for number, each in enumerate(stub.get("outputs") or []):
        yield ("outputs", number), each


def _misfits(
    document: Document, file: str, path: Place, model: type[BaseModel], output: Any
) -> Iterator[str]:
    try:
        model.model_validate(output)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=False):
            name = ".".join(map(str, problem["loc"])) or "output"
            text, fix = problem["msg"], None
            if problem["type"] == "extra_forbidden":
                text = "the action's output has no such field"
                fix = did_you_mean(str(problem["loc"][-1]), model.model_fields)
            message = f"the stub's {name}: {text}" + (f"; {fix}" if fix else "")
            yield _line(file, document, (*path, *problem["loc"]), message)


def _value_at(data: Any, path: Place) -> Any:
    for part in path:
        if isinstance(data, dict):
            data = data.get(part)
        else:
            data = data[part] if isinstance(part, int) else None
        if data is None:
            return None
    return data


def _line(file: str, document: Document, path: Place, text: str, *, key: bool = False) -> str:
    """Return a problem with its file, line and column."""
    place = document.at(path, key=key)
    return f"{file}:{place.line}:{place.column}: {text}"
