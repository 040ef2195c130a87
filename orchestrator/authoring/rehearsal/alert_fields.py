"""The alert fields of a case: their validation, and how they overlay an alert."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from orchestrator.domain.alert import Alert, Severity
from orchestrator.domain.errors import Invalid
from orchestrator.intake.normalize.severity import WORDS
from orchestrator.playbook.problems import did_you_mean

START_TIME = datetime(2026, 1, 1, tzinfo=UTC)
"""When a rehearsal starts, by its own clock."""

EMPTY_ALERT: dict[str, Any] = {
    **dict.fromkeys(("rule", "host", "user", "remote", "local", "file", "process", "url")),
    "id": "alert_1",
    "incident_id": "inc_1",
    "source": "rehearsal",
    "product": "generic",
    "raw_sha256": "0" * 64,
    "dedup_key": "rehearsal",
    "title": "An alert",
    "class": "other",
    "severity": 3,
    "severity_name": "medium",
    "time": START_TIME.isoformat(),
    "techniques": [],
    "observables": [],
    "fingerprint": "rehearsal",
    "incomplete": [],
    "resolved": False,
}
"""An alert without any facts."""

_PARTS: dict[str, dict[str, Any]] = {
    "host": {
        "id": None,
        "name": None,
        "address": None,
        "kind": "unknown",
        "critical": False,
        "tags": [],
    },
    "user": {"name": None, "domain": None, "email": None, "critical": False, "tags": []},
    "remote": dict.fromkeys(("address", "domain", "port")),
    "local": dict.fromkeys(("address", "domain", "port")),
    "file": dict.fromkeys(("name", "path", "sha256", "sha1", "md5")),
    "process": dict.fromkeys(("name", "command_line", "pid")),
}
_OWN = {"id", "incident_id", "source", "product", "raw_sha256", "severity_name"}
"""Texts about where the alert is stored, rather than of the alert itself."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """A field that an alert does not have, or whose value does not fit."""

    path: tuple[str | int, ...]  # below the alert
    message: str

    def __str__(self) -> str:
        return f"alert.{'.'.join(map(str, self.path))}: {self.message}"


def overlay(alert: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the alert with a case's fields laid over it.

    Raises Invalid with each field that does not fit, and its fix.
    """
    if found := [*field_problems(fields)]:
        raise Invalid("\n".join(map(str, found)))
    return _merge(alert, fields)


def field_problems(fields: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """Yield what is wrong with the fields of a case's alert."""
    unknown = [*_unknown(fields)]
    yield from unknown
    yield from (
        FieldProblem((name,), "must be a text, as in `alert`; quote it")
        for name in _OWN & fields.keys()
        if not isinstance(fields[name], str)
    )
    if not unknown:
        yield from _ill_typed(fields)


def _merge(alert: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(alert)
    for name, value in fields.items():
        part = _PARTS.get(name)
        result[name] = (
            {**part, **(alert.get(name) or {}), **value}
            if part and isinstance(value, dict)
            else value
        )
    if "severity" in fields and "severity_name" not in fields:
        result["severity_name"] = Severity(fields["severity"]).name.lower()
    return result


def _unknown(fields: Mapping[str, Any]) -> Iterator[FieldProblem]:
    for name, value in fields.items():
        part = _PARTS.get(name)
        if name not in EMPTY_ALERT:
            yield FieldProblem((name,), _no_such(name, EMPTY_ALERT))
        elif part and isinstance(value, dict):
            yield from (
                FieldProblem((name, key), _no_such(str(key), part))
                for key in value
                if key not in part
            )


def _no_such(name: str, known: Mapping[str, Any]) -> str:
    fix = did_you_mean(name, known)
    return "an alert has no such field" + (f"; {fix}" if fix else "")


def _ill_typed(given: Mapping[str, Any]) -> Iterator[FieldProblem]:
    whole = {**EMPTY_ALERT, **given}
    fields = {
        ("alert_class" if name == "class" else name): value
        for name, value in whole.items()
        if name not in _OWN
    }
    try:
        Alert.model_validate_json(json.dumps(fields), strict=True)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=False):
            path = tuple("class" if part == "alert_class" else part for part in problem["loc"])
            yield FieldProblem(path, problem["msg"] + _fix(path, problem["input"]))


def _fix(path: tuple[str | int, ...], given: object) -> str:
    word = str(given).lower()
    return f"; {word} is {WORDS[word]:d}" if path == ("severity",) and word in WORDS else ""
