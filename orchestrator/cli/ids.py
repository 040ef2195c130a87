"""Ids on the command line: whole, or as much of one as no other has."""

from __future__ import annotations

import re

from orchestrator.cli.api_client import Api
from orchestrator.domain.errors import Conflict

_PART = re.compile(r"[a-z]+_[0-9a-f]{4,31}")


def find_id(api: Api, collection: str, text: str, *, state: str | None = None) -> str:
    """Return the id in a collection (`/v1/runs`) that begins with the text.

    A text that begins no id is returned as it is. Raise Conflict where it begins several.
    """
    if not _PART.fullmatch(text):
        return text
    found = api.get(collection, id_prefix=text, limit=2, state=state)["items"]
    if len(found) > 1:
        noun = collection.rpartition("/")[2]
        raise Conflict(f"several {noun} begin with {text}; give more of the id")
    return str(found[0]["id"]) if found else text
