"""Opening connections. Only worker-side modules import this one; the API asks a worker."""

from __future__ import annotations

import hashlib
from typing import Any

from connectors.pool import PoolKey
from connectors.registry import connector as connector_named
from connectors.sdk.connector import Connector
from connectors.sdk.open import open_connector
from connectors.sdk.proxy.choice import OutboundProxy, parse_proxy
from connectors.sdk.transport import Access
from orchestrator.connections.credentials import open_credentials
from orchestrator.connections.manage import get_connection_row
from orchestrator.runtime import Runtime
from orchestrator.settings import Settings
from orchestrator.store.statements import sealed
from orchestrator.store.tables import ConnectionRow


async def open_connection_for(rt: Runtime, name: str, access: Access) -> Connector[Any]:
    """Return the open connector of a connection, reused until the connection is saved again.

    With READ the write credential is not loaded. Raise NotFound, and Invalid for bad settings.
    """
    async with rt.store.read() as session:
        row = await sealed.connection(session, name) or await get_connection_row(rt, session, name)

    def make() -> Connector[Any]:
        secrets = open_credentials(
            rt.secrets, name, row.connector, row.settings, row.secrets, access
        )
        cls, settings = connector_named(row.connector), {**row.settings, **secrets}
        return open_connector(cls, settings, access, outbound=outbound_proxy(rt.settings))

    return rt.connections.get(pool_key(row, access), make)


def pool_key(row: ConnectionRow, access: Access) -> PoolKey:
    """Return where the connector of a connection is pooled.

    Sealing the same secret twice gives different bytes, so each save has a key of its own.
    """
    return PoolKey(row.name, hashlib.sha256(row.secrets).hexdigest(), access)


def outbound_proxy(settings: Settings) -> OutboundProxy | None:
    """Return the proxy of connections that name none."""
    if settings.outbound_proxy is None:
        return None
    return OutboundProxy(parse_proxy(settings.outbound_proxy.get_secret_value()), settings.no_proxy)
