"""Ids on the command line: whole, or as much of one as no other has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from orchestrator.cli.api_client import Api
from orchestrator.domain.errors import Conflict

_PART = re.compile(r"([a-z]+_)?[0-9a-f]{1,31}")


def find_id(
    api: Api,
    collection: str,
    text: str,
    *,
    kind: str = "",
    states: Sequence[str | None] = (None,),
    **conditions: Any,
) -> str:
    """Return the id in a collection (`/v1/runs`) that begins with the text.

    `kind`: what ids begin with (`apr_`), where it may be left out. `states`: what is in an earlier
    one comes before what is in a later one. A text that begins no id is returned as it is. Raise
    Conflict where it begins several.
    """
    wanted = text if text.startswith(kind) else f"{kind}{text}"
    if not _PART.fullmatch(wanted):
        return wanted
    for state in states:
        found = api.get(collection, id_prefix=wanted, limit=2, state=state, **conditions)["items"]
        if len(found) > 1:
            noun = collection.rpartition("/")[2]
            raise Conflict(f"several {noun} begin with {wanted}; give more of the id")
        if found:
            return str(found[0]["id"])
    return wanted
