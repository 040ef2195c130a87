"""An approval by its id or its first characters."""

from __future__ import annotations

from typing import Any

from orchestrator.cli.api_client import Api
from orchestrator.domain.errors import Conflict, NotFound

_PREFIX = "apr_"
_ID_LENGTH = 36


def find_approval(api: Api, name: str) -> dict[str, Any]:
    """Return an approval; `apr_` may be left out, and pending ones come first.

    Raise NotFound, or Conflict if several begin so.
    """
    full = name if name.startswith(_PREFIX) else f"{_PREFIX}{name}"
    if len(full) >= _ID_LENGTH:
        found: dict[str, Any] = api.get(f"/v1/approvals/{full}")
        return found
    for state in ("pending", None):
        items = api.items("/v1/approvals", state=state)
        exact = [item for item in items if item["id"] == full]
        matches = exact or [item for item in items if item["id"].startswith(full)]
        if len(matches) > 1:
            raise Conflict(f"{len(matches)} approvals begin with {full}; give more of the id")
        if matches:
            return matches[0]
    raise NotFound(f"no approval begins with {full}; `tocsin approval list` lists the pending ones")
