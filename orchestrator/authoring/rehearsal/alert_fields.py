"""May these fields stand in a case's alert? They are laid over an alert, and have to be as an alert's fields are."""

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

STARTED = datetime(2026, 1, 1, tzinfo=UTC)
"""When a rehearsal begins, by its own clock."""

BARE: dict[str, Any] = {
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
    "time": STARTED.isoformat(),
    "techniques": [],
    "observables": [],
    "resolved": False,
}
"""An alert of which nothing is known."""

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
"""Texts that come from where the alert is kept, and are not of the alert itself."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """A field that no alert has, or that no alert has so. `path`: below the alert."""

    path: tuple[str | int, ...]
    words: str

    def __str__(self) -> str:
        return f"alert.{'.'.join(map(str, self.path))}: {self.words}"


def laid_over(seen: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """The alert with what a case says of it. Raises Invalid with each field that does not fit, and its mend."""
    if found := [*misfits(said)]:
        raise Invalid("\n".join(map(str, found)))
    return _over(seen, said)


def misfits(said: Mapping[str, Any]) -> Iterator[Misfit]:
    """What is wrong with the fields of a case's alert."""
    unknown = [*_unknown(said)]
    yield from unknown
    yield from (
        Misfit((name,), "is a text, such as it stands in `alert`; quote it")
        for name in _OWN & said.keys()
        if not isinstance(said[name], str)
    )
    if not unknown:
        yield from _ill_typed(said)


def _over(seen: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(seen)
    for name, value in said.items():
        part = _PARTS.get(name)
        result[name] = (
            {**part, **(seen[name] or {}), **value} if part and isinstance(value, dict) else value
        )
    if "severity" in said and "severity_name" not in said:
        result["severity_name"] = Severity(said["severity"]).name.lower()
    return result


def _unknown(said: Mapping[str, Any]) -> Iterator[Misfit]:
    for name, value in said.items():
        part = _PARTS.get(name)
        if name not in BARE:
            yield Misfit((name,), _no_such(name, BARE))
        elif part and isinstance(value, dict):
            yield from (
                Misfit((name, key), _no_such(str(key), part)) for key in value if key not in part
            )


def _no_such(name: str, known: Mapping[str, Any]) -> str:
    mend = did_you_mean(name, known)
    return "an alert has no such field" + (f"; {mend}" if mend else "")


def _ill_typed(said: Mapping[str, Any]) -> Iterator[Misfit]:
    whole = {**BARE, **said}
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
            yield Misfit(path, problem["msg"] + _mend(path, problem["input"]))


def _mend(path: tuple[str | int, ...], given: object) -> str:
    word = str(given).lower()
    return f"; {word} is {WORDS[word]:d}" if path == ("severity",) and word in WORDS else ""
