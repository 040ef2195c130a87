"""Mappings: the JMESPath of each field of an alert in a product's payload."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Self, TypeAlias

import jmespath
from jmespath.exceptions import JMESPathError, LexerError, ParseError
from jmespath.functions import Functions
from jmespath.parser import ParsedResult
from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator

from orchestrator.domain.alert import Severity
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import ObservableRole, ObservableType
from orchestrator.intake.body import JSON

MAX_EXPRESSION = 1024
"""The maximum length of an expression in characters."""

MAX_OBSERVABLE_RULES = 64


@lru_cache(maxsize=2048)
def compiled(expression: str) -> ParsedResult:
    """Return the compiled expression. Raise ValueError with the character of the mistake."""
    try:
        result: ParsedResult = jmespath.compile(expression)
    except LexerError as error:
        message = f"JMESPath {expression!r}, character {error.lexer_position + 1}: {error.message}"
        raise ValueError(message) from error
    except ParseError as error:
        message = (
            f"JMESPath {expression!r}, character {error.lex_position + 1}: {error.msg.rstrip('.')}"
        )
        raise ValueError(message) from error
    except (JMESPathError, ValueError, RecursionError) as error:
        message = f"JMESPath {expression!r}, character 1: {error or 'nested too deep'}"
        raise ValueError(message) from error
    _check_calls(expression, result.parsed)
    return result


def evaluate(expression: str | None, payload: JSON) -> JSON:
    """Return what the expression finds; None where it fails on the payload, or is None."""
    if expression is None:
        return None
    try:
        found: JSON = compiled(expression).search(payload)
    except (
        JMESPathError,
        ValueError,
        TypeError,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
    ):
        return None
    return found


def _check_calls(expression: str, root: Any) -> None:
    """Raise ValueError for a function call that JMESPath would only refuse at run time."""
    pending = [root]
    while pending:
        node = pending.pop()
        pending += [child for child in node["children"] if isinstance(child, dict)]
        if node["type"] != "function_expression":
            continue
        name, given = node["value"], len(node["children"])
        place = f"JMESPath {expression!r}, character {expression.find(f'{name}(') + 1}"
        if name not in Functions.FUNCTION_TABLE:
            message = f"{place}: unknown function {name}()"
            raise ValueError(message)
        signature = Functions.FUNCTION_TABLE[name]["signature"]
        variadic = bool(signature) and bool(signature[-1].get("variadic"))
        if given < len(signature) or (given > len(signature) and not variadic):
            message = f"{place}: {name}() takes {len(signature)} arguments, not {given}"
            raise ValueError(message)


def _checked(expression: str) -> str:
    compiled(expression)
    return expression


Path: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=MAX_EXPRESSION), AfterValidator(_checked)
]
ClassName: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
_SeverityId: TypeAlias = Annotated[Severity, Field(ge=1, le=6)]


class SeverityScale(Frozen):
    """A range of numbers in five equal parts: informational, low, medium, high, critical."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    ends: Annotated[tuple[float, float], Field(alias="from")]

    @model_validator(mode="after")
    def _rises(self) -> Self:
        low, high = self.ends
        if not low < high:
            message = f"the scale must rise, as in [0, 100]; it is [{low:g}, {high:g}]"
            raise ValueError(message)
        return self

    def severity(self, number: float) -> Severity:
        """Return the severity of a number; beyond an end of the scale, that of the end."""
        low, high = self.ends
        part = int((number - low) / (high - low) * 5)
        return Severity(min(max(part, 0), 4) + 1)


class ObservableRule(Frozen):
    """A rule by which each value that a path finds is an observable of this type."""

    path: Path
    type: ObservableType
    role: ObservableRole = ObservableRole.RELATED


class Mapping(Frozen):
    """The paths of an alert's fields in a product's payload. Only `title` is required."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    alerts: Path | None = None
    """The list of alerts in a batch. All other paths start at one alert."""
    when: Path | None = None
    """A condition: where it finds false, null or nothing, the payload is not an alert."""
    dedup_key: Path | None = None
    """The product's id of the alert; without one, the SHA-256 of the content is the key."""
    title: Path
    severity: Path | None = None
    """A word or number, by `severity_map`, else `severity_scale`, else OCSF's words and ids."""
    severity_map: dict[str, _SeverityId] = Field(default_factory=dict)
    severity_scale: SeverityScale | None = None
    severity_default: _SeverityId | None = None
    alert_class: Annotated[Path | None, Field(alias="class")] = None
    """Words, looked up in `class_map` (lower case), then among the class names."""
    class_map: dict[str, ClassName] = Field(default_factory=dict)
    class_default: ClassName = "other"
    rule: Path | None = None
    time: Path | None = None
    techniques: Path | None = None
    resolved: Path | None = None
    host_id: Path | None = None
    host_name: Path | None = None
    host_address: Path | None = None
    user: Path | None = None
    user_domain: Path | None = None
    remote_address: Path | None = None
    remote_domain: Path | None = None
    remote_port: Path | None = None
    local_address: Path | None = None
    url: Path | None = None
    file_name: Path | None = None
    file_path: Path | None = None
    file_sha256: Path | None = None
    file_sha1: Path | None = None
    file_md5: Path | None = None
    process_name: Path | None = None
    process_command_line: Path | None = None
    process_pid: Path | None = None
    observables: Annotated[tuple[ObservableRule, ...], Field(max_length=MAX_OBSERVABLE_RULES)] = ()

    @model_validator(mode="before")
    @classmethod
    def _lower_keys(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        maps = {
            name: raw[name]
            for name in ("severity_map", "class_map")
            if isinstance(raw.get(name), dict)
        }
        return {
            **raw,
            **{
                name: {str(key).strip().lower(): value for key, value in entries.items()}
                for name, entries in maps.items()
            },
        }


def check_mapping(raw: object) -> Mapping:
    """Return the mapping of a configuration.

    Raise Invalid that names each wrong field, and the character in its JMESPath.
    """
    try:
        return Mapping.model_validate(raw)
    except ValidationError as error:
        problems = [f"{_path(item['loc'])}: {_problem(item)}" for item in error.errors()]
        raise Invalid(f"mapping: {'; '.join(problems)}") from error


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "document"


def _problem(item: Any) -> str:
    match item["type"]:
        case "extra_forbidden":
            known = (field.alias or name for name, field in Mapping.model_fields.items())
            return f"unknown field; the fields are {', '.join(known)}"
        case "missing":
            return "is missing"
        case _:
            return str(item["msg"]).removeprefix("Value error, ")
