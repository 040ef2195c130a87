"""The registry: every connector, one line each."""

from __future__ import annotations

from typing import Any

from connectors.crowdstrike.connector import CrowdStrike
from connectors.jira.connector import Jira
from connectors.nftables.connector import Nftables
from connectors.okta.connector import Okta
from connectors.palo_alto.connector import PaloAlto
from connectors.sdk.binding import BoundAction
from connectors.sdk.connector import Connector
from connectors.slack.connector import Slack
from connectors.virustotal.connector import VirusTotal
from orchestrator.domain.errors import NotFound

CONNECTORS: tuple[type[Connector[Any]], ...] = (
    Nftables,
    PaloAlto,
    CrowdStrike,
    Okta,
    Jira,
    Slack,
    VirusTotal,
)


def find_action(connector: str, action: str) -> BoundAction | None:
    """Return an action of the connector of that name. None: one of them is not known any more."""
    for candidate in CONNECTORS:
        if candidate.name == connector:
            return candidate.bound.get(action)
    return None


def connector(name: str) -> type[Connector[Any]]:
    """Return the connector of that name. Raises NotFound."""
    for candidate in CONNECTORS:
        if candidate.name == name:
            return candidate
    known = ", ".join(sorted(candidate.name for candidate in CONNECTORS))
    message = f"no connector {name!r}; use one of: {known}"
    raise NotFound(message)
