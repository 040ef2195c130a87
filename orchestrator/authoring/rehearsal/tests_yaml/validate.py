"""Do stubs answer what their actions can answer? Each that does not is told with its line and the mend."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from orchestrator.authoring.rehearsal.action_schemas import spec_of
from orchestrator.authoring.rehearsal.tests_yaml.model import line_of, uses_in
from orchestrator.domain.errors import Invalid
from orchestrator.playbook.language.yaml import Document, load
from orchestrator.playbook.plan import Plan, Use
from orchestrator.playbook.problems import did_you_mean


def case_lines(text: str) -> list[int]:
    """The line of each case."""
    document = load(text)
    return [
        document.at(("cases", number)).line for number in range(len(document.data.get("cases", [])))
    ]


def check_stubs(text: str, file: str, plan: Plan) -> None:
    """Stubs answer what their actions can answer. Raises Invalid with file, line, column and mend of all that do not."""
    document = load(text)
    specs = {
        f"{use.connection}.{use.action}": _output(use)
        for use in uses_in(plan.model_dump(mode="python"))
    }
    places = [
        ("stubs",),
        *(("cases", number, "stubs") for number in range(len(document.data["cases"]))),
    ]
    found: list[str] = []
    for path in places:
        stubs = _at(document.data, path)
        for name, stub in (stubs or {}).items():
            model = specs.get(name)
            if model is None:
                continue
            given: list[tuple[tuple[str | int, ...], Any]] = (
                [(("output",), stub["output"])] if stub.get("output") else []
            )
            given += [
                (("outputs", number), each) for number, each in enumerate(stub.get("outputs") or [])
            ]
            found += [
                line
                for place, output in given
                for line in _misfits(document, file, (*path, name, *place), model, output)
            ]
    if found:
        raise Invalid("\n".join(found))


def _output(use: Use) -> type[BaseModel] | None:
    spec = spec_of(use.capability, use.action)
    return spec.output if spec is not None else None


def _misfits(
    document: Document, file: str, path: tuple[str | int, ...], model: type[BaseModel], output: Any
) -> list[str]:
    try:
        model.model_validate(output)
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False, include_context=False):
            place = (*path, *problem["loc"])
            name = ".".join(map(str, problem["loc"]))
            mend = (
                did_you_mean(str(problem["loc"][-1]), model.model_fields)
                if problem["type"] == "extra_forbidden"
                else None
            )
            words = (
                "there is no such field in what the action answers"
                if problem["type"] == "extra_forbidden"
                else problem["msg"]
            )
            lines.append(
                line_of(
                    file,
                    document,
                    place,
                    f"the stub's {name or 'output'}: {words}" + (f"; {mend}" if mend else ""),
                )
            )
        return lines
    return []


def _at(data: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        data = (
            data.get(part)
            if isinstance(data, dict)
            else data[part]
            if isinstance(part, int)
            else None
        )
        if data is None:
            return None
    return data
