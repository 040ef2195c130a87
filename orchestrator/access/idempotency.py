"""Idempotency keys: the answer to a repeated request is the first one's, and nothing is repeated.

A key belongs to a person. The answer is sealed, as it may show a new secret.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta

from sqlalchemy.exc import IntegrityError

from orchestrator.domain.errors import Conflict, Invalid
from orchestrator.domain.model import Frozen
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records
from orchestrator.store.tables import IdempotencyRow

KEPT = timedelta(hours=24)
"""How long an answer is kept, counted from the first request."""


class KeptAnswer(Frozen):
    """An answer as it was sent."""

    status: int
    headers: dict[str, str]
    body: str
    """In base64."""

    @classmethod
    def of(cls, status: int, headers: dict[str, str], body: bytes) -> KeptAnswer:
        """Return the answer with its body as text."""
        return cls(status=status, headers=headers, body=base64.b64encode(body).decode("ascii"))

    @property
    def content(self) -> bytes:
        """The body."""
        return base64.b64decode(self.body)


async def reserve(rt: Runtime, person: str, key: str, request_digest: str) -> KeptAnswer | None:
    """Reserve a key for a request; return the answer where one was given already.

    Raise Invalid where the key belongs to another request, and Conflict while the first request
    with it has not ended.
    """
    now = rt.clock()
    row = IdempotencyRow(
        id=_id(person, key), request_digest=request_digest, created_at=now, answer=None
    )
    try:
        async with rt.store.write() as session:
            await records.remove_older(session, IdempotencyRow, now - KEPT)
            known = await records.get(session, IdempotencyRow, row.id)
            if known is None:
                await records.add(session, row)
                return None
    except IntegrityError:  # another process was first
        raise _in_progress() from None
    return _answer(rt, known, request_digest)


async def keep(rt: Runtime, person: str, key: str, answer: KeptAnswer) -> None:
    """Keep the answer to the request that reserved the key."""
    id_ = _id(person, key)
    async with rt.store.write() as session:
        row = await records.get(session, IdempotencyRow, id_)
        if row is not None:
            row.answer = rt.secrets.seal(answer.model_dump_json().encode(), answer_context(id_))


async def free(rt: Runtime, person: str, key: str) -> None:
    """Free a key whose request was refused and did nothing."""
    async with rt.store.write() as session:
        row = await records.get(session, IdempotencyRow, _id(person, key))
        if row is not None:
            await records.remove(session, row)


def _answer(rt: Runtime, known: IdempotencyRow, request_digest: str) -> KeptAnswer:
    if known.request_digest != request_digest:
        raise Invalid(
            "Idempotency-Key: another request used this key within 24 hours; send a new key"
        )
    if known.answer is None:
        raise _in_progress()
    return KeptAnswer.model_validate_json(rt.secrets.open(known.answer, answer_context(known.id)))


def _in_progress() -> Conflict:
    return Conflict(
        "the first request with this Idempotency-Key has not ended; repeat this one later. If it "
        "broke off, look whether it took effect before you send a new key"
    )


def _id(person: str, key: str) -> str:
    return hashlib.sha256(json.dumps([person, key]).encode()).hexdigest()


def answer_context(id_: str) -> bytes:
    """Return the encryption context of a kept answer."""
    return f"idempotency:{id_}".encode()
