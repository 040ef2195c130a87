"""Signing keys: by whose public keys are signatures under playbook versions believed?"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.crypto.signing import PublicKey
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.runtime import Runtime
from orchestrator.settings import Settings
from orchestrator.store.queries import records
from orchestrator.store.tables import SigningKeyRow


class SigningKeyView(Frozen):
    """A person's public key (64 hex digits)."""

    fingerprint: str
    person: str
    public_key: str
    added_by: str
    added_at: datetime
    revoked_at: datetime | None


async def add_signing_key(
    rt: Runtime, person: str, public_key: str, *, actor: str
) -> SigningKeyView:
    """Believes this key for that person. `public_key`: PEM or 64 hex digits. Raises Invalid, Conflict (it is somebody's already)."""
    key = PublicKey.parse(public_key, "the public key")
    if not person.strip():
        raise Invalid(
            "a signing key belongs to a person: 1 to 100 printable characters, such as a.smith"
        )
    now = rt.clock()
    row = SigningKeyRow(
        fingerprint=key.id, person=person.strip(), public_key=key.hex, added_by=actor, added_at=now
    )
    view = SigningKeyView(**row.model_dump())
    async with rt.store.write() as session:
        known = await records.one(session, SigningKeyRow, key.id)
        if known is not None:
            raise Conflict(
                f"key {key.id} is {known.person}'s already"
                + (", and revoked; make a new one" if known.revoked_at else "")
            )
        await records.add(session, row)
        told = {"person": view.person, "public_key": key.hex}
        await trail.record(
            session, EventKind.SIGNING_KEY_ADDED, actor=actor, subject=key.id, data=told, now=now
        )
    return view


async def list_signing_keys(rt: Runtime) -> tuple[SigningKeyView, ...]:
    """All, revoked ones too."""
    async with rt.store.read() as session:
        return tuple(
            SigningKeyView(**row.model_dump())
            for row in await records.every(session, SigningKeyRow)
        )


async def revoke_signing_key(rt: Runtime, fingerprint: str, *, actor: str) -> None:
    """From now on nothing that it signed is believed. Raises NotFound."""
    async with rt.store.write() as session:
        row = await records.one(session, SigningKeyRow, fingerprint)
        if row is None:
            raise NotFound(f"there is no signing key {fingerprint}")
        row.revoked_at = row.revoked_at or rt.clock()
        told = {"person": row.person}
        await trail.record(
            session,
            EventKind.SIGNING_KEY_REVOKED,
            actor=actor,
            subject=fingerprint,
            data=told,
            now=rt.clock(),
        )


async def believed(session: AsyncSession, settings: Settings) -> dict[str, SigningKeyRow]:
    """The keys that count now, by fingerprint. With `trusted_signers_file` only those that it names too."""
    rows = {
        row.fingerprint: row
        for row in await records.every(session, SigningKeyRow)
        if row.revoked_at is None
    }
    if settings.trusted_signers_file is None:
        return rows
    pinned = trusted_signers(settings.trusted_signers_file)
    return {
        name: row
        for name, row in rows.items()
        if pinned.get(row.public_key) == row.person.casefold()
    }


def trusted_signers(path: Path) -> dict[str, str]:
    """Public keys (64 hex digits) with their persons, in lower case: one `PERSON KEY` a line. Raises Invalid with file and line."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise Invalid(
            f"{path}: the trusted signers cannot be read ({error}); nothing is believed until they are"
        ) from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        fits = re.fullmatch(r"\s*(\S.*?)\s+([0-9a-f]{64})\s*", line)
        if fits is None:
            raise Invalid(f"{path}:{number}: write a person and their public key's 64 hex digits")
        found[fits[2]] = fits[1].casefold()
    return found
