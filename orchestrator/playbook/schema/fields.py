"""Field types of the schema: names, durations, conditions, each with an error that says the fix."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from orchestrator.domain.errors import Invalid
from orchestrator.playbook.language.durations import PATTERN, parse_duration
from orchestrator.playbook.language.templates import is_template

NAME = r"^[a-z][a-z0-9-]{0,63}$"
ID = r"^[a-z][a-z0-9_]{0,63}$"
USE = r"^[a-z][a-z0-9_-]*\.[a-z][a-z0-9_]*$"
CALL = r"^[a-z][a-z0-9-]{0,63}@[1-9][0-9]{0,5}$"
TECHNIQUE = r"^T[0-9]{4}(\.[0-9]{3})?$"


class AuthoredModel(BaseModel):
    """A part of what an author writes. Nothing is coerced, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _matching(pattern: str, fix: str) -> Callable[[str], str]:
    compiled = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            message = f"{text[:80]!r} is not valid here; {fix}"
            raise ValueError(message)
        return text

    return check


def _word(pattern: str, fix: str) -> tuple[AfterValidator, WithJsonSchema]:
    return AfterValidator(_matching(pattern, fix)), WithJsonSchema(
        {"type": "string", "pattern": pattern}
    )


_name, _name_schema = _word(
    NAME, "use lower case letters, digits and dashes, such as c2-beacon-containment"
)
_id, _id_schema = _word(ID, "use lower case letters, digits and underscores, such as block_remote")
_use, _use_schema = _word(USE, "write connection.action, such as firewall.block_address")
_call, _call_schema = _word(CALL, "write name@version, such as notify-owner@2")
_technique, _technique_schema = _word(
    TECHNIQUE, "write an ATT&CK technique, such as T1071 or T1071.001"
)

PlaybookName = Annotated[str, _name, _name_schema]
Identifier = Annotated[str, _id, _id_schema]
ActionName = Annotated[str, _use, _use_schema]
PinnedPlaybook = Annotated[str, _call, _call_schema]
Technique = Annotated[str, _technique, _technique_schema]


def _line(text: str) -> str:
    if not text.strip() or len(text) > 250 or "\n" in text:
        message = "must be one line of at most 250 characters; shorten it"
        raise ValueError(message)
    if is_template(text):
        message = "must be plain text, without an expression; write the text"
        raise ValueError(message)
    return text


Line = Annotated[
    str, AfterValidator(_line), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 250})
]


def _duration(value: Any) -> int:
    if not isinstance(value, str):
        message = f"{value!r} is not a duration; write it like 90s, 15m, 24h, 7d or 1h30m"
        raise ValueError(message)  # noqa: TRY004  pydantic collects ValueErrors
    try:
        return parse_duration(value)
    except Invalid as error:
        raise ValueError(str(error)) from error


def _duration_or_template(value: Any) -> Any:
    return value if isinstance(value, str) and is_template(value) else _duration(value)


_TEMPLATE = {"type": "string", "pattern": r"\$\{\{"}
_DURATION = {"type": "string", "pattern": PATTERN, "examples": ["90s", "15m", "24h", "7d"]}

Duration = Annotated[int, BeforeValidator(_duration), WithJsonSchema(_DURATION)]
DurationOrTemplate = Annotated[
    int | str,
    BeforeValidator(_duration_or_template),
    WithJsonSchema({"anyOf": [_DURATION, _TEMPLATE]}),
]


def _condition(value: Any) -> Any:
    """Accept the YAML boolean of `when: true` as the expression `true`."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else value


def _bare(source: str) -> str:
    if is_template(source):
        message = "a condition is a bare expression; write it without ${{ }}"
        raise ValueError(message)
    return source


Condition = Annotated[
    str,
    BeforeValidator(_condition),
    AfterValidator(_bare),
    WithJsonSchema({"type": ["string", "boolean"]}),
]
