"""What the keys have sealed in the database: tags of rows, ciphertexts and positions of sinks.

Each kind says whether the newest key has sealed a row, and seals it again. Nothing that does not
verify is sealed again: a forged row stays one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.access.idempotency import answer_context
from orchestrator.approvals.decision_input import reseal_answers
from orchestrator.approvals.decision_input import sealing_keys as sealing_keys_of_form
from orchestrator.audit.sinks.position import is_genuine, sign_position
from orchestrator.connections.credentials import reseal_credentials, sealing_keys
from orchestrator.crypto.box import Box
from orchestrator.domain.errors import Invalid
from orchestrator.intake.keep_rejected import body_context
from orchestrator.intake.sources import secret_context
from orchestrator.runtime import Runtime
from orchestrator.store import sealed_rows
from orchestrator.store.authentic import UNSEALED, seal
from orchestrator.store.sealed_rows import Row, Table
from orchestrator.store.session import event_authenticator, row_authenticator
from orchestrator.store.tables import (
    AuditSinkRow,
    ConnectionRow,
    DecisionRow,
    IdempotencyRow,
    RejectedRow,
    SourceRow,
)


@dataclass(frozen=True, slots=True)
class Ciphertext:
    """A column that holds a ciphertext."""

    table: Table
    column: str
    keys: Callable[[Box, Any], set[str]]
    """Returns the ids of the keys that have sealed the column of a row."""
    reseal: Callable[[Box, Any], Any]
    """Returns the content of the column, sealed by the newest key. Raises Invalid."""


def _plain(table: Table, column: str, context: Callable[[Any], bytes]) -> Ciphertext:
    """Return a column with one ciphertext in the context of its row."""

    def reseal(box: Box, row: Any) -> bytes:
        bound = context(row)
        return box.seal(box.open(getattr(row, column), bound), bound)

    return Ciphertext(table, column, lambda box, row: {box.key_id_of(getattr(row, column))}, reseal)


CIPHERTEXTS = (
    Ciphertext(
        ConnectionRow,
        "secrets",
        lambda box, row: sealing_keys(box, row.secrets),
        lambda box, row: reseal_credentials(
            box, row.name, row.connector, row.settings, row.secrets
        ),
    ),
    _plain(SourceRow, "secret", lambda row: secret_context(row.name)),
    _plain(SourceRow, "old_secret", lambda row: secret_context(row.name)),
    Ciphertext(
        DecisionRow,
        "form",
        lambda box, row: sealing_keys_of_form(box, row.form),
        lambda box, row: reseal_answers(box, row.approval_id, row.form),
    ),
    _plain(RejectedRow, "body", lambda row: body_context(row.source)),
    _plain(IdempotencyRow, "answer", lambda row: answer_context(row.id)),
)
"""Every ciphertext in the database but the check value of the installation, one line each."""

TABLES: tuple[Table, ...] = tuple(
    dict.fromkeys((*UNSEALED, *(each.table for each in CIPHERTEXTS), AuditSinkRow))
)
"""The tables that a rotation seals again."""


async def candidates(
    rt: Runtime, session: AsyncSession, table: Table
) -> list[sealed_rows.PrimaryKey]:
    """Return the rows that an older key may have sealed."""
    if any(each.table is table for each in CIPHERTEXTS):
        return await sealed_rows.primary_keys(session, table)
    return await sealed_rows.tagged_by_others(session, table, rt.secrets.newest_key_id)


async def reseal_row(rt: Runtime, session: AsyncSession, row: Row) -> bool:
    """Seal a row by the newest key; return whether an older one had.

    A ciphertext that does not open stays as it is: it was not readable before either.
    """
    changed = False
    for each in CIPHERTEXTS:
        sealed = getattr(row, each.column) if each.table is type(row) else None
        with suppress(Invalid):
            if sealed is not None and each.keys(rt.secrets, row) - {rt.secrets.newest_key_id}:
                setattr(row, each.column, each.reseal(rt.secrets, row))
                changed = True
    if isinstance(row, AuditSinkRow):
        authenticator = event_authenticator(session)
        if is_genuine(row, authenticator) and not authenticator.is_newest(row.mac):
            sign_position(row, authenticator)
            changed = True
    elif type(row) in UNSEALED:
        authenticator = row_authenticator(session)
        if changed or not authenticator.is_newest(row.mac):  # type: ignore[attr-defined]
            seal(row, authenticator)
            changed = True
    return changed


async def keys_in_use(rt: Runtime) -> dict[str, int]:
    """Return how many rows each key has sealed, by its id."""
    found: dict[str, int] = {}
    async with rt.store.read() as session:
        for table in TABLES:
            for key in await sealed_rows.primary_keys(session, table):
                row = await sealed_rows.load(session, table, key)
                for id_ in _keys_of(rt.secrets, row) if row is not None else ():
                    found[id_] = found.get(id_, 0) + 1
    return found


def _keys_of(box: Box, row: Row) -> set[str]:
    keys: set[str] = set()
    for each in CIPHERTEXTS:
        if each.table is type(row) and getattr(row, each.column) is not None:
            with suppress(Invalid):
                keys |= each.keys(box, row)
    tag = getattr(row, "mac", "")
    return keys | ({tag.split(":")[1]} if tag.count(":") > 1 else set())
