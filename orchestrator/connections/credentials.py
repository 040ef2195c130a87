"""Sealed credentials: a separate seal around the write credential, which readers never open.

A seal is bound to the connector and to every setting that is not secret, such as the URL, the
authority and the allowed hosts: a credential does not go where an edited row says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from connectors.sdk.settings import ConnectorSettings, secret_fields, write_fields
from connectors.sdk.transport import Access
from orchestrator.crypto.box import Box
from orchestrator.domain.digest import digest
from orchestrator.domain.errors import Invalid


def seal_credentials(
    box: Box,
    name: str,
    connector: str,
    settings_type: type[ConnectorSettings],
    settings: Mapping[str, Any],
) -> bytes:
    """Return the secrets among the settings of a connection, sealed per credential."""
    clear = clear_settings(settings_type, settings)
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
        access.value: box.seal_text(json.dumps(part), _context(name, access, connector, clear))
        for access, part in parts.items()
    }
    return json.dumps(sealed).encode()


def clear_settings(
    settings_type: type[ConnectorSettings], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the settings that are stored in clear."""
    secrets = secret_fields(settings_type)
    return {
        field: value for field, value in settings.items() if value is None or field not in secrets
    }


def open_credentials(
    box: Box,
    name: str,
    connector: str,
    settings: Mapping[str, Any],
    sealed: bytes,
    access: Access,
) -> dict[str, Any]:
    """Return the secrets that an access needs. With READ the write credential stays sealed.

    `settings`: those in clear. Raise Invalid where they are not those that were saved.
    """
    parts = _parts(sealed)
    needed = (Access.READ,) if access is Access.READ else (Access.READ, Access.WRITE)
    secrets: dict[str, Any] = {}
    for part in needed:
        secrets |= json.loads(
            box.open_text(parts[part.value], _context(name, part, connector, settings))
        )
    return secrets


def reseal_credentials(
    box: Box, name: str, connector: str, settings: Mapping[str, Any], sealed: bytes
) -> bytes:
    """Return the same secrets, sealed by the newest key. Raise Invalid as `open_credentials`."""
    parts = _parts(sealed)
    for access in (Access.READ, Access.WRITE):
        context = _context(name, access, connector, settings)
        parts[access.value] = box.seal_text(box.open_text(parts[access.value], context), context)
    return json.dumps(parts).encode()


def sealing_keys(box: Box, sealed: bytes) -> set[str]:
    """Return the ids of the keys that have sealed the credentials. Raise Invalid."""
    return {box.key_id_of_text(part) for part in _parts(sealed).values()}


def _parts(sealed: bytes) -> dict[str, str]:
    try:
        parts: dict[str, str] = json.loads(sealed)
    except ValueError:
        raise Invalid("the credentials are not what Tocsin sealed; save them again") from None
    return parts


def _context(name: str, access: Access, connector: str, settings: Mapping[str, Any]) -> bytes:
    goes_to = digest([connector, dict(settings)])
    return f"connection:{name}:{access.value}:{goes_to}".encode()
