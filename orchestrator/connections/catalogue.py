"""The actions that a playbook can name: those of saved connections and of every capability."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from itertools import chain
from typing import Any

from connectors.capabilities import ALL_CAPABILITIES
from connectors.registry import CONNECTORS, connector
from connectors.sdk.capability import ActionSpec
from connectors.sdk.connector import Connector
from orchestrator.playbook.catalogue import ActionType, Catalogue
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records
from orchestrator.store.tables import ConnectionRow


async def load_catalogue(rt: Runtime | None = None) -> Catalogue:
    """Return the actions of the connections, and of the capabilities that none of them serves."""
    rows: list[ConnectionRow] = []
    if rt is not None:
        async with rt.store.read() as session:
            rows = await records.list_all(session, ConnectionRow)
    connected = [
        _action_types(
            row.name, row.capability, _specs(row.connector), _slow([connector(row.connector)])
        )
        for row in rows
    ]
    usual = _usual(without={row.capability for row in rows})
    return Catalogue.of(chain.from_iterable([*usual, *connected]))


def usual_catalogue() -> Catalogue:
    """Return every action of every capability under its usual connection name."""
    return Catalogue.of(chain.from_iterable(_usual()))


def _usual(without: Container[str] = ()) -> list[Iterator[ActionType]]:
    slow = _slow(CONNECTORS)
    return [
        _action_types(kind.default_connection, kind.capability, kind.actions, slow)
        for kind in ALL_CAPABILITIES
        if kind.capability not in without
    ]


def _specs(name: str) -> list[ActionSpec]:
    return [action.spec for action in connector(name).bound.values()]


def _slow(connectors: Iterable[type[Connector[Any]]]) -> frozenset[tuple[str, str]]:
    """Return capability and name of the actions that one of these connectors polls."""
    return frozenset(
        (action.capability, action.spec.name)
        for kind in connectors
        for action in kind.bound.values()
        if action.slow
    )


def _action_types(
    connection: str, capability: str, specs: Iterable[ActionSpec], slow: Container[tuple[str, str]]
) -> Iterator[ActionType]:
    for spec in specs:
        yield ActionType(
            connection=connection,
            capability=capability,
            action=spec.name,
            effect=spec.effect,
            summary=spec.summary,
            input_schema=spec.input.model_json_schema(),
            result_schema=spec.result_schema(),
            slow=(capability, spec.name) in slow,
        )
