"""Opening a connector: validated settings, and no write credential for read access."""

from __future__ import annotations

from typing import Any, TypeVar

import httpx

from connectors.sdk.connector import Connector
from connectors.sdk.guard import reading_only
from connectors.sdk.proxy.choice import OutboundProxy
from connectors.sdk.settings import parse_settings, without_write
from connectors.sdk.transport import Access

C = TypeVar("C", bound=Connector[Any])


def open_connector(
    cls: type[C],
    settings: dict[str, Any],
    access: Access,
    transport: httpx.AsyncBaseTransport | None = None,
    outbound: OutboundProxy | None = None,
) -> C:
    """Return a connector that is ready to call; close it with `await connector.aclose()`.

    With `transport`, requests go there and not to the network. `outbound`: the proxy of connections
    that name none. Raises Invalid, which names the
    setting but not its value, and WriteRefused when a connector for read access opens connections
    in its constructor.
    """
    parsed = parse_settings(cls.name, cls.settings_type, settings)
    if access is Access.WRITE:
        return cls(parsed, cls.http_client(parsed, access, transport, outbound))
    parsed = without_write(parsed)
    with reading_only():  # tasks that the constructor leaves running inherit the restriction
        return cls(parsed, cls.http_client(parsed, access, transport, outbound))
