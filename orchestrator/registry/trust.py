"""Trust in published versions: signing keys, and whether a stored version is what was signed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from pydantic import ConfigDict, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.crypto.signing import PublicKey
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.playbook.plan import Plan
from orchestrator.registry.built_in import is_built_in
from orchestrator.registry.statement import (
    Role,
    Signature,
    SignedStatement,
    is_signature_valid,
    tests_digest,
)
from orchestrator.runtime import Runtime
from orchestrator.settings import Settings
from orchestrator.store.precondition import ANY_STATE, Precondition
from orchestrator.store.queries import records
from orchestrator.store.queries.records import signatures_of
from orchestrator.store.tables import PlaybookRow, SignatureRow, SigningKeyRow


class SigningKeyView(Frozen):
    """A person's public key for signatures under playbook versions."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "fingerprint": "0123456789abcdef",
                "person": "a.author",
                "public_key": "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
                "added_by": "person:ann",
                "created_at": "2026-01-01T12:00:00Z",
                "revoked_at": None,
            }
        }
    )

    fingerprint: str
    person: str
    public_key: str
    """64 hex digits."""
    added_by: str
    created_at: datetime
    revoked_at: datetime | None


async def add_signing_key(
    rt: Runtime, person: str, public_key: str, *, actor: str
) -> SigningKeyView:
    """Trust a key (PEM or 64 hex digits) as that person's.

    Raises Invalid, and Conflict when the key is known already.
    """
    key = PublicKey.parse(public_key, "the public key")
    if not person.strip():
        raise Invalid(
            "a signing key belongs to a person: 1 to 100 printable characters, such as a.smith"
        )
    now = rt.clock()
    row = SigningKeyRow(
        fingerprint=key.id, person=person.strip(), public_key=key.hex, added_by=actor, added_at=now
    )
    view = _view(row)
    async with rt.store.write() as session:
        known = await records.get(session, SigningKeyRow, key.id)
        if known is not None:
            raise Conflict(
                f"key {key.id} belongs to {known.person}"
                + (" and is revoked; generate a new key" if known.revoked_at else "")
            )
        await records.add(session, row)
        data = {"person": view.person, "public_key": key.hex}
        await trail.record(
            session, EventKind.SIGNING_KEY_ADDED, actor=actor, subject=key.id, data=data, now=now
        )
    return view


async def list_signing_keys(rt: Runtime) -> tuple[SigningKeyView, ...]:
    """Return all signing keys, revoked ones included."""
    async with rt.store.read() as session:
        return tuple(_view(row) for row in await records.list_all(session, SigningKeyRow))


def _view(row: SigningKeyRow) -> SigningKeyView:
    return SigningKeyView(**row.model_dump(exclude={"added_at"}), created_at=row.added_at)


async def revoke_signing_key(
    rt: Runtime, fingerprint: str, *, actor: str, replaces: Precondition = ANY_STATE
) -> None:
    """Stop trusting a key, and all that it signed. Raises NotFound."""
    async with rt.store.write() as session:
        row = await records.get(session, SigningKeyRow, fingerprint)
        if row is None:
            raise NotFound(f"signing key {fingerprint} does not exist")
        replaces.check(f"signing key {fingerprint}", _view(row))
        row.revoked_at = row.revoked_at or rt.clock()
        data = {"person": row.person}
        await trail.record(
            session,
            EventKind.SIGNING_KEY_REVOKED,
            actor=actor,
            subject=fingerprint,
            data=data,
            now=rt.clock(),
        )


async def trusted_keys(session: AsyncSession, settings: Settings) -> dict[str, SigningKeyRow]:
    """Return the keys that are trusted now, by fingerprint.

    With `trusted_signers_file`, only those that the file names too.
    """
    rows = {
        row.fingerprint: row
        for row in await records.list_all(session, SigningKeyRow)
        if row.revoked_at is None
    }
    if settings.trusted_signers_file is None:
        return rows
    pinned = read_trusted_signers(settings.trusted_signers_file)
    return {
        name: row
        for name, row in rows.items()
        if pinned.get(row.public_key) == row.person.casefold()
    }


def read_trusted_signers(path: Path) -> dict[str, str]:
    """Read public keys (64 hex digits) with their persons in lower case, one `PERSON KEY` a line.

    Raises Invalid with file and line.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise Invalid(
            f"{path}: cannot read the trusted signers ({error}); no signature is trusted until "
            "the file is readable"
        ) from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        fits = re.fullmatch(r"\s*(\S.*?)\s+([0-9a-f]{64})\s*", line)
        if fits is None:
            raise Invalid(f"{path}:{number}: write a person and the 64 hex digits of their key")
        found[fits[2]] = fits[1].casefold()
    return found


_MOST_INTACT = 1000
_intact: set[str] = set()  # by the row's tag, which covers the plan and its digest


async def start_objection(
    session: AsyncSession, settings: Settings, row: PlaybookRow | None, digest: str
) -> str | None:
    """Return why a run with this plan digest may not start, or None when it may.

    Signatures are required where `require_signed` is on.
    """
    if row is None:
        return "its version is not in the store"
    if row.mac not in _intact:
        if (problem := tampering(row)) is not None:
            return problem
        if len(_intact) >= _MOST_INTACT:
            _intact.clear()
        if row.mac:  # it is stored
            _intact.add(row.mac)
    if row.digest != digest:
        return f"{row.name} version {row.version} in the store differs from the plan of the run"
    if not settings.require_signed or is_built_in(row):
        return None
    given = [
        Signature(
            role=signature_role(each),
            person=each.person,
            fingerprint=each.fingerprint,
            signature=each.signature,
        )
        for each in await signatures_of(session, row.name, row.version)
    ]
    problems = missing_signatures(statement_of(row), given, await trusted_keys(session, settings))
    return (
        f"{row.name} version {row.version} is not signed as `require_signed` demands: "
        f"{'; '.join(problems)}"
        if problems
        else None
    )


def tampering(row: PlaybookRow) -> str | None:
    """Return how a stored version differs from its digest, or None when it is intact."""
    altered = f"{row.name} version {row.version} was altered in the database"
    try:
        plan = Plan.model_validate(row.plan)
    except ValidationError:
        return f"{altered}: its plan cannot be read"
    if plan.digest != row.digest or (plan.playbook, plan.version) != (row.name, row.version):
        return f"{altered}: its plan has the digest {plan.digest}, not {row.digest}"
    return None


def statement_of(row: PlaybookRow) -> SignedStatement:
    """Return the statement about a stored version; each signer fills in role and person."""
    return SignedStatement(
        name=row.name,
        version=row.version,
        digest=row.digest,
        tests=tests_digest(row.tests, row.files),
        role="author",
        person="",
    )


def missing_signatures(
    about: SignedStatement, given: Sequence[Signature], keys: Mapping[str, SigningKeyRow]
) -> list[str]:
    """Return what is missing of an author's and another person's signature, a sentence each.

    When one is missing, each signature that does not count is named with its reason.
    """
    problems: list[str] = []
    good: dict[Role, set[str]] = {"author": set(), "reviewer": set()}
    for each in given:
        if (why := _problem_of(about, each, keys)) is not None:
            problems.append(why)
        else:
            good[each.role].add(each.person.casefold())
    missing = []
    if not good["author"]:
        missing.append("the author has not signed it (`tocsin playbook sign`)")
    if not good["reviewer"] - good["author"]:
        missing.append(
            "no one other than the author has signed a review "
            "(`tocsin playbook sign --as reviewer`)"
        )
    return [*missing, *problems] if missing else []


def signature_role(row: SignatureRow) -> Role:
    """Return the role in which a stored signature was given."""
    return "author" if row.role == "author" else "reviewer"


def _problem_of(
    about: SignedStatement, given: Signature, keys: Mapping[str, SigningKeyRow]
) -> str | None:
    who = f"the {given.role} signature of {given.person}"
    key = keys.get(given.fingerprint)
    if key is None:
        return f"{who} is by key {given.fingerprint}, which is unknown, revoked or not trusted here"
    if key.person.casefold() != given.person.casefold():
        return f"{who} is by key {given.fingerprint}, which belongs to {key.person}"
    statement = about.model_copy(update={"role": given.role, "person": given.person})
    return (
        None
        if is_signature_valid(statement, given.signature, key.public_key)
        else f"{who} is not over this version and its tests"
    )
