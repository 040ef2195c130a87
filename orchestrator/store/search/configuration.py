"""The rows of what people configure that fit a filter."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Text, cast, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.notification import Channel
from orchestrator.domain.run import BUILT_IN
from orchestrator.store.search.conditions import Condition, equal, within
from orchestrator.store.search.filters import (
    AssetFilter,
    ConnectionFilter,
    ContactFilter,
    KeyFilter,
    PlaybookFilter,
    PolicyFilter,
    SourceFilter,
)
from orchestrator.store.tables import (
    AssetRow,
    ConnectionRow,
    ContactRow,
    KeyRow,
    PersonRow,
    PlaybookRow,
    PolicyRow,
    SourceRow,
)

_REACHED_BY = {Channel.EMAIL: ContactRow.email, Channel.SLACK: ContactRow.slack_user}


async def list_connections(
    session: AsyncSession, wanted: ConnectionFilter
) -> Sequence[ConnectionRow]:
    """Return connections by name."""
    found = select(ConnectionRow).where(
        *within(wanted, ConnectionRow.saved_at),
        *_contains(ConnectionRow.name, wanted.name),
        *equal(
            (ConnectionRow.connector, wanted.connector),
            (ConnectionRow.capability, wanted.capability),
        ),
    )
    return (await session.scalars(found.order_by(col(ConnectionRow.name)))).all()


async def list_sources(session: AsyncSession, wanted: SourceFilter) -> Sequence[SourceRow]:
    """Return sources by name."""
    found = select(SourceRow).where(
        *within(wanted, SourceRow.created_at),
        *_contains(SourceRow.name, wanted.name),
        *equal(
            (SourceRow.product, wanted.product),
            (SourceRow.scheme, wanted.scheme),
            (SourceRow.mode, wanted.mode),
        ),
    )
    return (await session.scalars(found.order_by(col(SourceRow.name)))).all()


async def list_keys(session: AsyncSession, wanted: KeyFilter, now: datetime) -> Sequence[KeyRow]:
    """Return API keys by id; `now` decides which of them are expired."""
    found = select(KeyRow).where(
        *within(wanted, KeyRow.created_at),
        *equal((KeyRow.person, wanted.person)),
        *_has(KeyRow.roles, wanted.role),
    )
    if wanted.group is not None:
        named = cast(col(PersonRow.groups), Text).contains(
            f"{json.dumps(wanted.group)}: {{", autoescape=True
        )
        found = found.where(col(KeyRow.person).in_(select(col(PersonRow.id)).where(named)))
    if wanted.valid is not None:
        expires = col(KeyRow.expires_at)
        is_received = col(KeyRow.hash).is_not(None)
        is_alive = col(KeyRow.revoked_at).is_(None) & or_(expires.is_(None), expires > now)
        is_valid = is_received & is_alive
        found = found.where(is_valid if wanted.valid else ~is_valid)
    return (await session.scalars(found.order_by(col(KeyRow.id)))).all()


async def list_contacts(session: AsyncSession, wanted: ContactFilter) -> Sequence[ContactRow]:
    """Return contacts by person."""
    found = select(ContactRow).where(
        *within(wanted, ContactRow.saved_at), *_contains(ContactRow.person, wanted.name)
    )
    if wanted.channel is not None:
        found = found.where(col(_REACHED_BY[wanted.channel]).is_not(None))
    return (await session.scalars(found.order_by(col(ContactRow.person)))).all()


async def list_playbooks(session: AsyncSession, wanted: PlaybookFilter) -> Sequence[PlaybookRow]:
    """Return versions of playbooks by name and version."""
    person = None if wanted.person is None else f"person:{wanted.person}"
    found = select(PlaybookRow).where(
        *within(wanted, PlaybookRow.published_at),
        *_contains(PlaybookRow.name, wanted.name),
        *equal(
            (PlaybookRow.owner, wanted.owner),
            (PlaybookRow.stage, wanted.stage),
            (PlaybookRow.retired, wanted.retired),
            (PlaybookRow.published_by, person),
        ),
    )
    if wanted.built_in is not None:
        is_built_in = col(PlaybookRow.stage) == BUILT_IN
        found = found.where(is_built_in if wanted.built_in else ~is_built_in)
    order = (col(PlaybookRow.name), col(PlaybookRow.version))
    return (await session.scalars(found.order_by(*order))).all()


async def list_policies(session: AsyncSession, wanted: PolicyFilter) -> Sequence[PolicyRow]:
    """Return the versions of the policy, the newest first."""
    person = None if wanted.person is None else f"person:{wanted.person}"
    found = select(PolicyRow).where(
        *within(wanted, PolicyRow.published_at), *equal((PolicyRow.published_by, person))
    )
    return (await session.scalars(found.order_by(col(PolicyRow.version).desc()))).all()


async def list_assets(session: AsyncSession, wanted: AssetFilter) -> Sequence[AssetRow]:
    """Return assets by type and value."""
    found = select(AssetRow).where(
        *_contains(AssetRow.value, wanted.name),
        *equal(
            (AssetRow.type, wanted.type),
            (AssetRow.kind, wanted.kind),
            (AssetRow.critical, wanted.critical),
        ),
        *_has(AssetRow.tags, wanted.tag),
    )
    order = (col(AssetRow.type), col(AssetRow.value))
    return (await session.scalars(found.order_by(*order))).all()


def _contains(name: Any, text: str | None) -> Iterator[Condition]:
    if text is not None:
        yield col(name).icontains(text, autoescape=True)


def _has(values: Any, value: str | None) -> Iterator[Condition]:
    """Yield the condition that a list of texts, stored as JSON, has this one."""
    if value is not None:
        yield cast(col(values), Text).contains(json.dumps(value), autoescape=True)
