"""How a connector is opened: settings checked, and for reading the write credential left out."""

from __future__ import annotations

from typing import Any, TypeVar

import httpx
from pydantic import ValidationError

from connectors.sdk.connector import Connector
from connectors.sdk.guard import reading_only
from connectors.sdk.http import Access
from connectors.sdk.settings import ConnectorSettings, without_write
from orchestrator.domain.errors import Invalid

C = TypeVar("C", bound=Connector[Any])


def open_connector(
    cls: type[C],
    settings: dict[str, Any],
    access: Access,
    transport: httpx.AsyncBaseTransport | None = None,
) -> C:
    """The connector, ready to call; `await connector.aclose()` when done.

    Raises Invalid naming the setting, never its value; WriteRefused where one that is opened for reading reaches out by itself.
    """
    parsed = parse_settings(cls, settings)
    if access is Access.WRITE:
        return cls(parsed, cls.http_client(parsed, access, transport))
    parsed = without_write(parsed)
    with reading_only():  # what it leaves running as it is made is bound by this for good
        return cls(parsed, cls.http_client(parsed, access, transport))


def parse_settings(cls: type[Connector[Any]], settings: dict[str, Any]) -> ConnectorSettings:
    """The settings of a connector, checked. Raises Invalid naming each wrong setting, never its value."""
    try:
        return cls.settings_type.model_validate(settings)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        found = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'settings'}: {problem['msg']}"
            for problem in problems
        )
        message = f"connector {cls.name}: {found}"
        raise Invalid(message) from None
