"""An approval by its id or its first characters."""

from __future__ import annotations

from typing import Any

from orchestrator.cli.api_client import Api
from orchestrator.cli.ids import find_id

APPROVALS = "/v1/approvals"


def find_approval(api: Api, name: str) -> dict[str, Any]:
    """Return an approval; `apr_` may be left out, and pending ones come first.

    Raise NotFound, or Conflict if several begin so.
    """
    id_ = find_id(api, APPROVALS, name, kind="apr_", states=("pending", None))
    found: dict[str, Any] = api.get(f"{APPROVALS}/{id_}")
    return found
