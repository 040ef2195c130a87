"""Lines of an export, which may hold anything."""

from __future__ import annotations

import json
import re
from typing import Any, TypeGuard

from pydantic import ValidationError

from orchestrator.audit.verify.findings import printable
from orchestrator.domain.digest import canonical

_TRACE = re.compile(rb'"seq":([0-9]{1,16}),"subject"')


def parse_line(line: bytes) -> Any:
    """Return the JSON of a line; None where it is none."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def canonical_or_none(value: dict[str, Any] | str) -> bytes | None:
    """Return the canonical form (RFC 8785); None where there is none."""
    try:
        return canonical(value)
    except (ValueError, RecursionError):
        return None


def traces_of(line: bytes) -> str:
    """Return the event that a damaged line may have been, where that is still readable."""
    trace = _TRACE.search(line)
    return f", probably event {trace[1].decode()}," if trace else ""


def is_seq(value: object) -> TypeGuard[int]:
    """Return whether a value is a place in the trail."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def reason_of(error: ValidationError) -> str:
    """Return the first reason of a refusal, fit for a terminal."""
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(printable(part) for part in first['loc'])}: {printable(first['msg'])}"
