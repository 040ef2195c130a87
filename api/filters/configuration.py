"""The conditions of the lists of what people configure: connections, sources, keys and the like."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Query

from api.filters.parameters import Name, Since, Until
from api.filters.selection import Selection, from_query
from orchestrator.assets.inventory import Kind
from orchestrator.domain.access import Role
from orchestrator.domain.notification import Channel
from orchestrator.domain.observable import ObservableType
from orchestrator.domain.run import Mode
from orchestrator.intake.authenticate import Scheme
from orchestrator.store.search.filters import (
    AssetFilter,
    ConnectionFilter,
    ContactFilter,
    KeyFilter,
    PlaybookFilter,
    PolicyFilter,
    SourceFilter,
)

_NAME = 64
_PERSON = 100


class ConnectionSelection(Selection[ConnectionFilter]):
    """Which connections."""

    filter_type = ConnectionFilter

    name: Name = None
    connector: Annotated[
        str | None,
        Query(max_length=_NAME, description="Only of this connector.", examples=["palo_alto"]),
    ] = None
    capability: Annotated[
        str | None,
        Query(max_length=_NAME, description="Only with this capability.", examples=["firewall"]),
    ] = None
    since: Since = None
    until: Until = None


class SourceSelection(Selection[SourceFilter]):
    """Which sources."""

    filter_type = SourceFilter

    name: Name = None
    product: Annotated[
        str | None,
        Query(max_length=_NAME, description="Only of this product.", examples=["suricata"]),
    ] = None
    scheme: Annotated[
        Scheme | None, Query(description="Only authenticated so.", examples=["bearer"])
    ] = None
    mode: Annotated[
        Mode | None, Query(description="Only whose alerts start such runs.", examples=["live"])
    ] = None
    since: Since = None
    until: Until = None


class KeySelection(Selection[KeyFilter]):
    """Which API keys."""

    filter_type = KeyFilter

    person: Annotated[
        str | None, Query(max_length=_PERSON, description="Only of this person.", examples=["ann"])
    ] = None
    role: Annotated[Role | None, Query(description="Only with this role.", examples=["admin"])] = (
        None
    )
    group: Annotated[
        str | None,
        Query(max_length=_NAME, description="Only of this group.", examples=["soc-leads"]),
    ] = None
    valid: Annotated[
        bool | None,
        Query(description="Only neither revoked nor expired, or only such.", examples=[True]),
    ] = None
    since: Since = None
    until: Until = None


class ContactSelection(Selection[ContactFilter]):
    """Which contacts."""

    filter_type = ContactFilter

    name: Name = None
    channel: Annotated[
        Channel | None, Query(description="Only who is reached by it.", examples=["email"])
    ] = None
    since: Since = None
    until: Until = None


class PlaybookSelection(Selection[PlaybookFilter]):
    """Which versions of playbooks."""

    filter_type = PlaybookFilter

    name: Name = None
    owner: Annotated[
        str | None,
        Query(max_length=_PERSON, description="Only of this owner.", examples=["soc-tier-2"]),
    ] = None
    stage: Annotated[
        Literal["live", "shadow"] | None,
        Query(description="Only in this stage.", examples=["live"]),
    ] = None
    retired: Annotated[
        bool | None, Query(description="Only retired versions, or only others.", examples=[False])
    ] = None
    person: Annotated[
        str | None,
        Query(max_length=_PERSON, description="Only published by this person.", examples=["ann"]),
    ] = None
    built_in: Annotated[
        bool,
        Query(
            description="The versions that Tocsin made, instead of the published ones.",
            examples=[False],
        ),
    ] = False
    since: Since = None
    until: Until = None


class PolicySelection(Selection[PolicyFilter]):
    """Which versions of the policy."""

    filter_type = PolicyFilter

    person: Annotated[
        str | None,
        Query(max_length=_PERSON, description="Only published by this person.", examples=["ann"]),
    ] = None
    since: Since = None
    until: Until = None


class AssetSelection(Selection[AssetFilter]):
    """Which assets."""

    filter_type = AssetFilter

    name: Name = None
    type: Annotated[
        ObservableType | None, Query(description="Only of this type.", examples=["host"])
    ] = None
    kind: Annotated[
        Kind | None, Query(description="Only of this kind.", examples=["domain_controller"])
    ] = None
    critical: Annotated[
        bool | None, Query(description="Only critical ones, or only others.", examples=[True])
    ] = None
    tag: Annotated[
        str | None,
        Query(
            min_length=1, max_length=_NAME, description="Only with this tag.", examples=["tier-0"]
        ),
    ] = None


Connections = Annotated[ConnectionFilter, Depends(from_query(ConnectionSelection))]
Sources = Annotated[SourceFilter, Depends(from_query(SourceSelection))]
Keys = Annotated[KeyFilter, Depends(from_query(KeySelection))]
Contacts = Annotated[ContactFilter, Depends(from_query(ContactSelection))]
Playbooks = Annotated[PlaybookFilter, Depends(from_query(PlaybookSelection))]
Policies = Annotated[PolicyFilter, Depends(from_query(PolicySelection))]
Assets = Annotated[AssetFilter, Depends(from_query(AssetSelection))]
