"""Connectors as the API lists them: their settings, and their actions with inputs and outputs."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from connectors.registry import CONNECTORS
from connectors.registry import connector as connector_named
from connectors.sdk.binding import BoundAction
from connectors.sdk.connector import Connector
from connectors.sdk.settings import secret_fields, write_fields
from orchestrator.domain.change import Effect
from orchestrator.domain.model import Frozen

_SUMMARY: dict[str, Any] = {
    "name": "nftables",
    "title": "nftables",
    "summary": "Blocks addresses and networks in the sets of a Linux firewall.",
    "capabilities": ["firewall"],
    "actions": ["block_address"],
}
_SETTING: dict[str, Any] = {
    "name": "table",
    "type": "string",
    "summary": "The table",
    "required": False,
    "default": "tocsin",
    "secret": False,
    "only_for_changes": False,
}
_ACTION: dict[str, Any] = {
    "name": "block_address",
    "capability": "firewall",
    "effect": "contain",
    "summary": "Deny all traffic to and from an address.",
    "can_undo": True,
    "input_schema": {"type": "object"},
    "result_schema": {"type": "object"},
}


class ConnectorSummary(Frozen):
    """A connector: the code for a product."""

    model_config = ConfigDict(json_schema_extra={"example": _SUMMARY})

    name: str
    title: str
    summary: str
    capabilities: tuple[str, ...]
    actions: tuple[str, ...]


class ConnectorSetting(Frozen):
    """One setting of a connection."""

    model_config = ConfigDict(json_schema_extra={"example": _SETTING})

    name: str
    type: str
    summary: str
    required: bool
    default: Any
    secret: bool = Field(description="Whether it is sealed when it is saved, and never returned.")
    only_for_changes: bool = Field(description="Whether it is opened to carry out changes only.")


class ConnectorAction(Frozen):
    """One thing that a connector can do."""

    model_config = ConfigDict(json_schema_extra={"example": _ACTION})

    name: str
    capability: str
    effect: Effect
    summary: str
    can_undo: bool
    input_schema: dict[str, Any] = Field(description="JSON Schema of what `with:` gives.")
    result_schema: dict[str, Any] = Field(description="JSON Schema of `steps.ID` afterwards.")


class ConnectorDetails(Frozen):
    """A connector with its settings and actions."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                **_SUMMARY,
                "docs": "https://wiki.nftables.org",
                "settings": [_SETTING],
                "actions": [_ACTION],
                "unsupported": {},
            }
        }
    )

    name: str
    title: str
    summary: str
    docs: str = Field(description="The vendor's documentation of the API that is used.")
    capabilities: tuple[str, ...]
    settings: tuple[ConnectorSetting, ...]
    actions: tuple[ConnectorAction, ...]
    unsupported: dict[str, str] = Field(
        description="Actions of the capability that the product lacks, with the reason."
    )


def list_connectors() -> tuple[ConnectorSummary, ...]:
    """Return all connectors."""
    return tuple(
        ConnectorSummary(
            name=each.name,
            title=each.title,
            summary=_prose(each),
            capabilities=_capabilities(each),
            actions=tuple(each.bound),
        )
        for each in CONNECTORS
    )


def describe_connector(name: str) -> ConnectorDetails:
    """Return a connector with its settings and actions. Raise NotFound."""
    found = connector_named(name)
    return ConnectorDetails(
        name=found.name,
        title=found.title,
        summary=_prose(found),
        docs=found.docs,
        capabilities=_capabilities(found),
        settings=_settings(found),
        actions=tuple(_action(each) for each in found.bound.values()),
        unsupported=dict(found.unsupported),
    )


def _settings(found: type[Connector[Any]]) -> tuple[ConnectorSetting, ...]:
    secret, write = secret_fields(found.settings_type), write_fields(found.settings_type)
    schemas = found.settings_type.model_json_schema()["properties"]
    return tuple(
        ConnectorSetting(
            name=name,
            type=_type(schemas[name]),
            summary=field.description or "",
            required=field.is_required(),
            default=None if name in secret else schemas[name].get("default"),
            secret=name in secret,
            only_for_changes=name in write,
        )
        for name, field in found.settings_type.model_fields.items()
    )


def _type(schema: dict[str, Any]) -> str:
    kinds = [each.get("type") for each in schema.get("anyOf", [schema])]
    return " or ".join(str(kind) for kind in kinds if kind not in {None, "null"}) or "object"


def _action(bound: BoundAction) -> ConnectorAction:
    return ConnectorAction(
        name=bound.spec.name,
        capability=bound.capability,
        effect=bound.spec.effect,
        summary=bound.summary,
        can_undo=bound.undo is not None,
        input_schema=bound.spec.input.model_json_schema(),
        result_schema=bound.spec.result_schema(),
    )


def _capabilities(found: type[Connector[Any]]) -> tuple[str, ...]:
    return tuple(sorted({each.capability for each in found.bound.values()}))


def _prose(found: type[Connector[Any]]) -> str:
    return (found.__doc__ or "").strip().partition("\n\n")[0].replace("\n    ", " ")
