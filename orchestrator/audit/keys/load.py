"""The keys of the trail in the store, and the one of them that this machine signs with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit.anchor import BrokenTrail
from orchestrator.audit.keys.change import KeyChange, parse_key_change
from orchestrator.audit.keys.history import KeyHistory
from orchestrator.crypto.signing import PublicKey, SigningKey
from orchestrator.domain.audit_batch import Batch
from orchestrator.domain.errors import Conflict
from orchestrator.runtime import Runtime
from orchestrator.store.queries import audit, records
from orchestrator.store.tables import InstallationRow
from orchestrator.store.tables.installation import SLOT


@dataclass(frozen=True, slots=True)
class TrailKeys:
    """Who signs the trail, and who signed it before."""

    signer: SigningKey
    history: KeyHistory
    changes: tuple[KeyChange, ...] = ()

    @property
    def earlier(self) -> list[PublicKey]:
        """The retired keys, oldest first."""
        return self.history.keys[:-1]

    def require_signed(self, batch: Batch, what_to_do: str) -> None:
        """Raise BrokenTrail unless the key in charge of a batch signed it."""
        key = self.history.in_charge(batch.number)
        if not batch.signed_by(key):
            raise BrokenTrail(
                f"batch {batch.number} of the audit trail is not signed by key {key.id}: it was "
                f"altered or forged{self._retired(batch)}; {what_to_do}"
            )

    def _retired(self, batch: Batch) -> str:
        for key in self.earlier:
            if batch.signed_by(key):
                last = self.history.last_batch_of(key)
                return f" with the key {key.id}, which was retired after batch {last}"
        return ""


async def load_keys(rt: Runtime, session: AsyncSession) -> TrailKeys:
    """Return the keys of the trail.

    Raise BrokenTrail where a change of the key in the store does not lead to a key of this machine.
    """
    identity = await records.get(session, InstallationRow, SLOT)
    signer = rt.audit_key if identity is None else rt.audit_keys.find(identity.audit_key)
    if signer is None:
        raise BrokenTrail(
            "another key than that of this machine signs the audit trail; copy audit.key of the "
            "machine that rotated it (docs/operating.md#rotate-the-audit-key)"
        )
    try:
        history, changes = await _history(session, signer.public)
    except BrokenTrail:
        raise
    except (Conflict, ValueError) as error:  # a batch or an event that cannot be read
        raise BrokenTrail(
            f"the changes of the audit key cannot be read ({error}); restore the database from "
            "your backup"
        ) from error
    if history.current != signer.public:
        raise BrokenTrail(
            f"the audit trail goes on with key {history.current.id}, but the database names key "
            f"{signer.id}: one of them was altered; restore it from your backup"
        )
    return TrailKeys(signer, history, tuple(changes))


async def _history(session: AsyncSession, current: PublicKey) -> tuple[KeyHistory, list[KeyChange]]:
    batches: dict[int, list[KeyChange]] = {}
    places: dict[int, int] = {}
    for number, seq, record in await audit.key_changes(session):
        change = parse_key_change(record)
        if change is None:
            raise BrokenTrail(
                f"event {seq} ({record['id']}) changes the audit key without the signatures of "
                "both keys: it was forged or altered; restore the database from your backup"
            )
        batches.setdefault(number, []).append(change)
        places[number] = seq
    changes = [change for found in batches.values() for change in found]
    history = KeyHistory(changes[0].old if changes else current)
    for number, found in batches.items():
        batch = await audit.batch(session, number)
        signer = _signer(batch, (history.current, found[-1].new), places[number])
        problem = history.follow(found, number, signer) if signer else "no key signed its batch"
        if problem:
            raise BrokenTrail(
                f"event {places[number]} of the audit trail changes the audit key, but {problem}: "
                "it was forged, or its batch removed; restore the database from your backup"
            )
    return history, changes


def _signer(batch: Batch | None, keys: Sequence[PublicKey], seq: int) -> PublicKey | None:
    """Return which key signed the batch of a place."""
    if batch is None or not batch.first_seq <= seq <= batch.last_seq:
        return None
    return next((key for key in keys if batch.signed_by(key)), None)
