"""The actions that a playbook can name: those of the saved connections and of every capability."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from itertools import chain
from typing import Any

from connectors.capabilities import CAPABILITIES
from connectors.registry import CONNECTORS, connector
from connectors.sdk.capability import ActionSpec
from connectors.sdk.connector import Connector
from orchestrator.playbook.catalogue import ActionType, Catalogue
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records
from orchestrator.store.tables import ConnectionRow


async def load_catalogue(rt: Runtime | None = None) -> Catalogue:
    """What `use:` can name here: what the connections can do, and the usual names of capabilities that no connection serves yet."""
    bound: list[ConnectionRow] = []
    if rt is not None:
        async with rt.store.read() as session:
            bound = await records.every(session, ConnectionRow)
    own = [
        _offer(row.name, row.capability, _specs(row.connector), _slow([connector(row.connector)]))
        for row in bound
    ]
    return Catalogue.of(
        chain.from_iterable([*_usual(without={row.capability for row in bound}), *own])
    )


def usual_catalogue() -> Catalogue:
    """Every action of every capability under its usual connection name: what playbooks are written against where nothing is connected."""
    return Catalogue.of(chain.from_iterable(_usual()))


def _usual(without: Container[str] = ()) -> list[Iterator[ActionType]]:
    slow = _slow(CONNECTORS)
    return [
        _offer(kind.usual_connection, kind.capability, kind.actions, slow)
        for kind in CAPABILITIES
        if kind.capability not in without
    ]


def _specs(name: str) -> list[ActionSpec]:
    return [each.spec for each in connector(name).bound.values()]


def _slow(connectors: Iterable[type[Connector[Any]]]) -> frozenset[tuple[str, str]]:
    """Capability and name of the actions that are polled with one of these connectors."""
    return frozenset(
        (each.capability, each.spec.name)
        for kind in connectors
        for each in kind.bound.values()
        if each.slow
    )


def _offer(
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
