"""Signatures under published versions: what is to be signed, what was, and what is missing."""

from __future__ import annotations

from datetime import datetime

from pydantic import ConfigDict

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Forbidden
from orchestrator.domain.model import Frozen
from orchestrator.registry.publish import load_version
from orchestrator.registry.statement import Role, Signature, SignedStatement, is_signature_valid
from orchestrator.registry.trust import (
    missing_signatures,
    signature_role,
    statement_of,
    trusted_keys,
)
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records
from orchestrator.store.queries.records import signatures_of
from orchestrator.store.tables import SignatureRow

_DIGEST = "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"


class SignatureView(Frozen):
    """One signature under a version."""

    role: Role
    person: str
    fingerprint: str
    digest: str
    signature: str
    signed_at: datetime


class SignatureStatus(Frozen):
    """The signatures under a version, and those that are missing."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "name": "c2-beacon-containment",
                "version": 3,
                "digest": _DIGEST,
                "tests": "1f0c2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f90123456789",
                "signatures": [
                    {
                        "role": "author",
                        "person": "a.author",
                        "fingerprint": "0123456789abcdef",
                        "digest": _DIGEST,
                        "signature": "00" * 64,
                        "signed_at": "2026-01-01T12:00:00Z",
                    }
                ],
                "missing": [
                    "the author has not signed it (`tocsin playbook sign`)",
                ],
            }
        }
    )

    name: str
    version: int
    digest: str
    """Of the compiled plan; a part of the statement that is signed."""
    tests: str
    """Digest of the tests and their files; a part of the statement that is signed."""
    signatures: tuple[SignatureView, ...]
    missing: tuple[str, ...]
    """What is missing, a sentence each; empty when the version is signed."""


async def signature_status(rt: Runtime, name: str, version: int) -> SignatureStatus:
    """Return the signatures under a version and the digests to sign. Raises NotFound."""
    async with rt.store.read() as session:
        row = await load_version(session, name, version)
        rows = await signatures_of(session, name, version)
        about = statement_of(row)
        given = [
            Signature(
                role=signature_role(each),
                person=each.person,
                fingerprint=each.fingerprint,
                signature=each.signature,
            )
            for each in rows
        ]
        missing = missing_signatures(about, given, await trusted_keys(session, rt.settings))
    views = tuple(
        SignatureView(**each.model_dump(exclude={"name", "version", "at"}), signed_at=each.at)
        for each in rows
    )
    return SignatureStatus(
        name=name,
        version=version,
        digest=about.digest,
        tests=about.tests,
        signatures=views,
        missing=tuple(missing),
    )


async def statement_to_sign(
    rt: Runtime, name: str, version: int, role: Role, person: str
) -> SignedStatement:
    """Return what a person signs in a role. Raises NotFound."""
    async with rt.store.read() as session:
        row = await load_version(session, name, version)
    return statement_of(row).model_copy(update={"role": role, "person": person})


async def add_signature(
    rt: Runtime, name: str, version: int, given: Signature, *, actor: str
) -> SignatureStatus:
    """Persist a signature that was made on the signer's own machine.

    Private keys never reach Tocsin. Raises NotFound, Forbidden, Conflict.
    """
    now = rt.clock()
    async with rt.store.write() as session:
        row = await load_version(session, name, version)
        key = (await trusted_keys(session, rt.settings)).get(given.fingerprint)
        if key is None or key.person.casefold() != given.person.casefold():
            raise Forbidden(
                f"key {given.fingerprint} is not trusted here as {given.person}'s; "
                "add it with `tocsin signing-key add`"
            )
        meant = statement_of(row).model_copy(update={"role": given.role, "person": given.person})
        if not is_signature_valid(meant, given.signature, key.public_key):
            raise Forbidden(
                f"the signature is not over {name} version {version} and its tests as they are "
                "here; sign it again"
            )
        if (
            await records.get(session, SignatureRow, (name, version, given.role, given.person))
            is not None
        ):
            raise Conflict(
                f"{given.person} already signed {name} version {version} as {given.role}"
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
        data = {
            "version": version,
            "digest": row.digest,
            "role": given.role,
            "person": given.person,
            "key": given.fingerprint,
        }
        await trail.record(
            session, EventKind.PLAYBOOK_SIGNED, actor=actor, subject=name, data=data, now=now
        )
    return await signature_status(rt, name, version)
