"""How does a person's signature come to a published version, and what do the signatures under it say?"""

from __future__ import annotations

from datetime import datetime

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Forbidden, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.registry.evidence import missing, statement_of
from orchestrator.registry.signing_keys import believed
from orchestrator.registry.statement import Role, Signature, Statement, holds
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records
from orchestrator.store.queries.records import signatures_of
from orchestrator.store.tables import PlaybookRow, SignatureRow


class SignatureView(Frozen):
    """One signature under a version."""

    role: Role
    person: str
    fingerprint: str
    digest: str
    signature: str
    at: datetime


class Signed(Frozen):
    """A version's signatures; `missing`: what lacks of an author's and a reviewer's, as sentences; empty: it is signed."""

    name: str
    version: int
    digest: str
    tests: str
    signatures: tuple[SignatureView, ...]
    missing: tuple[str, ...]


async def signed(rt: Runtime, name: str, version: int) -> Signed:
    """What was signed of a version, and what is to be signed (`digest`, `tests`). Raises NotFound."""
    async with rt.store.read() as session:
        row = _found(await records.one(session, PlaybookRow, (name, version)), name, version)
        rows = await signatures_of(session, name, version)
        about = statement_of(row)
        given = [
            Signature(
                role=_role(each),
                person=each.person,
                fingerprint=each.fingerprint,
                signature=each.signature,
            )
            for each in rows
        ]
        lacking = missing(about, given, await believed(session, rt.settings))
    views = tuple(SignatureView(**each.model_dump(exclude={"name", "version"})) for each in rows)
    return Signed(
        name=name,
        version=version,
        digest=about.digest,
        tests=about.tests,
        signatures=views,
        missing=tuple(lacking),
    )


async def statement(rt: Runtime, name: str, version: int, role: Role, person: str) -> Statement:
    """What a person signs. Raises NotFound."""
    async with rt.store.read() as session:
        row = _found(await records.one(session, PlaybookRow, (name, version)), name, version)
    return statement_of(row).model_copy(update={"role": role, "person": person})


async def add_signature(
    rt: Runtime, name: str, version: int, given: Signature, *, actor: str
) -> Signed:
    """Keeps a signature that was made elsewhere; nobody's private key comes here. Raises NotFound, Forbidden, Conflict."""
    now = rt.clock()
    async with rt.store.write() as session:
        row = _found(await records.one(session, PlaybookRow, (name, version)), name, version)
        key = (await believed(session, rt.settings)).get(given.fingerprint)
        if key is None or key.person.casefold() != given.person.casefold():
            raise Forbidden(
                f"key {given.fingerprint} is not known here as {given.person}'s; add it with `tocsin signing-key add`"
            )
        meant = statement_of(row).model_copy(update={"role": given.role, "person": given.person})
        if not holds(meant, given.signature, key.public_key):
            raise Forbidden(
                f"the signature is not over {name} version {version} as it is here, its tests included; sign it anew"
            )
        if (
            await records.one(session, SignatureRow, (name, version, given.role, given.person))
            is not None
        ):
            raise Conflict(
                f"{given.person} has signed {name} version {version} as {given.role} already"
            )
        await records.add(
            session,
            SignatureRow(
                name=name,
                version=version,
                digest=row.digest,
                at=now,
                **given.model_dump(mode="json"),
            ),
        )
        told = {
            "version": version,
            "digest": row.digest,
            "role": given.role,
            "person": given.person,
            "key": given.fingerprint,
        }
        await trail.record(
            session, EventKind.PLAYBOOK_SIGNED, actor=actor, subject=name, data=told, now=now
        )
    return await signed(rt, name, version)


def _found(row: PlaybookRow | None, name: str, version: int) -> PlaybookRow:
    if row is None:
        raise NotFound(f"there is no playbook {name} version {version}; see `tocsin playbook list`")
    return row


def _role(row: SignatureRow) -> Role:
    return "author" if row.role == "author" else "reviewer"
