"""Is a stored version what was signed? Its digest taken again, its signatures checked against the keys that are believed now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.playbook.plan import Plan
from orchestrator.registry.signing_keys import believed
from orchestrator.registry.statement import Role, Signature, Statement, holds, tests_digest
from orchestrator.settings import Settings
from orchestrator.store.queries.records import signatures_of
from orchestrator.store.tables import PlaybookRow, SignatureRow, SigningKeyRow


def altered(row: PlaybookRow) -> str | None:
    """In what a stored version is not what its digest says; None: it is."""
    try:
        found = Plan.model_validate(row.plan)
    except ValidationError:
        return (
            f"{row.name} version {row.version} was altered in the database: its plan cannot be read"
        )
    if found.digest != row.digest or (found.playbook, found.version) != (row.name, row.version):
        return f"{row.name} version {row.version} was altered in the database: its plan has the digest {found.digest}, not {row.digest}"
    return None


async def objection(
    session: AsyncSession, settings: Settings, row: PlaybookRow | None, digest: str
) -> str | None:
    """Why a run with this plan digest may not begin; None: it may. Signatures are asked for where `require_signed` is on."""
    if row is None:
        return "its version is not in the store"
    if (problem := altered(row)) is not None:
        return problem
    if row.digest != digest:
        return (
            f"{row.name} version {row.version} is not in the store as it was when the run was made"
        )
    if not settings.require_signed:
        return None
    given = [_travelling(each) for each in await signatures_of(session, row.name, row.version)]
    lacking = missing(statement_of(row), given, await believed(session, settings))
    return (
        f"{row.name} version {row.version} is not signed as `require_signed` demands: {'; '.join(lacking)}"
        if lacking
        else None
    )


def statement_of(row: PlaybookRow) -> Statement:
    """What is to be signed of a stored version; role and person are filled in by each who signs."""
    return Statement(
        name=row.name,
        version=row.version,
        digest=row.digest,
        tests=tests_digest(row.tests, row.files),
        role="author",
        person="",
    )


def missing(
    about: Statement, given: Sequence[Signature], keys: Mapping[str, SigningKeyRow]
) -> list[str]:
    """What lacks of one author's and another person's signature, a sentence each; every signature that does not count says why."""
    problems: list[str] = []
    good: dict[Role, set[str]] = {"author": set(), "reviewer": set()}
    for each in given:
        if (why := _wrong(about, each, keys)) is not None:
            problems.append(why)
        else:
            good[each.role].add(each.person.casefold())
    lacks = []
    if not good["author"]:
        lacks.append("the author has not signed it (`tocsin playbook sign`)")
    if not good["reviewer"] - good["author"]:
        lacks.append(
            "nobody else than the author has signed a review (`tocsin playbook sign --as reviewer`)"
        )
    return [*lacks, *problems] if lacks else []


def _wrong(about: Statement, given: Signature, keys: Mapping[str, SigningKeyRow]) -> str | None:
    who = f"the {given.role}'s signature of {given.person}"
    key = keys.get(given.fingerprint)
    if key is None:
        return f"{who} is by key {given.fingerprint}, which is unknown here, revoked or not among the trusted ones"
    if key.person.casefold() != given.person.casefold():
        return f"{who} is by key {given.fingerprint}, which is {key.person}'s"
    meant = about.model_copy(update={"role": given.role, "person": given.person})
    return (
        None
        if holds(meant, given.signature, key.public_key)
        else f"{who} is not over this version and its tests"
    )


def _travelling(row: SignatureRow) -> Signature:
    role: Role = "author" if row.role == "author" else "reviewer"
    return Signature(
        role=role, person=row.person, fingerprint=row.fingerprint, signature=row.signature
    )
