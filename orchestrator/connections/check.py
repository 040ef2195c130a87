"""Checks of credentials, on a worker: nothing that a check does changes the system."""

from __future__ import annotations

import base64
from typing import Any

from connectors.registry import connector as connector_named
from connectors.sdk.connector import Connector
from connectors.sdk.guard import reading_only
from connectors.sdk.open import open_connector
from connectors.sdk.proxy.choice import OutboundProxy
from connectors.sdk.settings import write_fields
from connectors.sdk.transport import Access
from orchestrator.connections.credentials import open_credentials
from orchestrator.connections.manage import (
    CHECK_CONNECTION,
    CHECK_SETTINGS,
    CheckConnection,
    CheckSettings,
)
from orchestrator.connections.open import open_connection_for, outbound_proxy
from orchestrator.connections.write_guard_audit import audit_write_attempts
from orchestrator.requests import RequestHandler
from orchestrator.runtime import Runtime


async def check_connection(rt: Runtime, message: CheckConnection) -> str:
    """Try the read credential of a saved connection. Raise NotFound, ActionError."""
    opened = await open_connection_for(rt, message.name, Access.READ)
    async with audit_write_attempts(rt, message.name, "check of a saved connection"):
        with reading_only(opened.transport):
            return await opened.check()


async def check_settings(rt: Runtime, message: CheckSettings) -> None:
    """Try the credentials of a connection that is not saved yet. Raise Invalid, ActionError."""
    cls = connector_named(message.connector)
    sealed = base64.b64decode(message.secrets)
    secrets = open_credentials(
        rt.secrets, message.name, message.connector, message.settings, sealed, Access.WRITE
    )
    async with audit_write_attempts(rt, message.name, "check before a connection is saved"):
        await _try_credentials(cls, {**message.settings, **secrets}, outbound_proxy(rt.settings))


async def _try_credentials(
    cls: type[Connector[Any]], settings: dict[str, Any], outbound: OutboundProxy | None
) -> None:
    """Try the read credential, and the write credential where it is a separate one."""
    is_separate = any(settings.get(field) is not None for field in write_fields(cls.settings_type))
    for access in (Access.READ, Access.WRITE) if is_separate else (Access.READ,):
        async with open_connector(cls, settings, access, outbound=outbound) as opened:
            with reading_only(opened.transport):
                await opened.check()


CHECK_CONNECTION_HANDLER = RequestHandler(CHECK_CONNECTION, check_connection)
CHECK_SETTINGS_HANDLER = RequestHandler(CHECK_SETTINGS, check_settings)
