"""Sealed credentials: a separate seal around the write credential, which readers never open."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from connectors.sdk.settings import ConnectorSettings, secret_fields, write_fields
from connectors.sdk.transport import Access
from orchestrator.crypto.box import Box


def seal_credentials(
    box: Box, name: str, settings_type: type[ConnectorSettings], settings: Mapping[str, Any]
) -> bytes:
    """Return the secrets among the settings of a connection, sealed per credential."""
    secrets = {
        field: settings[field]
        for field in secret_fields(settings_type)
        if settings.get(field) is not None
    }
    for_writing = write_fields(settings_type)
    parts = {
        Access.READ: {name: value for name, value in secrets.items() if name not in for_writing},
        Access.WRITE: {name: value for name, value in secrets.items() if name in for_writing},
    }
    sealed = {
        access.value: box.seal_text(json.dumps(part), _context(name, access))
        for access, part in parts.items()
    }
    return json.dumps(sealed).encode()


def open_credentials(box: Box, name: str, sealed: bytes, access: Access) -> dict[str, Any]:
    """Return the secrets that an access needs. With READ the write credential stays sealed."""
    parts = json.loads(sealed)
    needed = (Access.READ,) if access is Access.READ else (Access.READ, Access.WRITE)
    secrets: dict[str, Any] = {}
    for part in needed:
        secrets |= json.loads(box.open_text(parts[part.value], _context(name, part)))
    return secrets


def _context(name: str, access: Access) -> bytes:
    return f"connection:{name}:{access.value}".encode()
