"""How are a connection's secrets kept? In two seals, so that whoever only reads never opens the one that may write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from connectors.sdk.settings import ConnectorSettings, secret_fields, write_fields
from connectors.sdk.transport import Access
from orchestrator.crypto.box import Box


def sealed(
    box: Box, name: str, settings_type: type[ConnectorSettings], settings: Mapping[str, Any]
) -> bytes:
    """The secrets among the settings of a connection, each credential under a seal of its own."""
    hidden = {
        field: settings[field]
        for field in secret_fields(settings_type)
        if settings.get(field) is not None
    }
    writing = write_fields(settings_type)
    parts = {
        Access.READ: {field: value for field, value in hidden.items() if field not in writing},
        Access.WRITE: {field: value for field, value in hidden.items() if field in writing},
    }
    kept = {
        access.value: box.seal_text(json.dumps(part), _context(name, access))
        for access, part in parts.items()
    }
    return json.dumps(kept).encode()


def opened(box: Box, name: str, secrets: bytes, access: Access) -> dict[str, Any]:
    """The secrets that this access needs. With READ the seal around the write credential stays closed."""
    kept = json.loads(secrets)
    needed = (Access.READ,) if access is Access.READ else (Access.READ, Access.WRITE)
    found: dict[str, Any] = {}
    for each in needed:
        found |= json.loads(box.open_text(kept[each.value], _context(name, each)))
    return found


def _context(name: str, access: Access) -> bytes:
    return f"connection:{name}:{access.value}".encode()
