"""A witness: another party, with its own key, that co-signs heads that continue what it saw.

Its file has a line per co-signature, and the last one is the last head that it saw:
{"cosignature": {"cosigned_at": ..., "head": {...}, "key_id": ..., "witness": ..., ...}}
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError

from orchestrator.audit.transparency.tree_head import TreeHead
from orchestrator.crypto.private_file import read_private, replace_private
from orchestrator.crypto.signing import PublicKey, SigningKey
from orchestrator.domain.audit_event import canonical_time
from orchestrator.domain.digest import canonical
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen

_COSIGNATURE = b"tocsin:audit:cosignature:1\n"
_KEPT_LINES = 1000


class Cosignature(Frozen):
    """The statement of a witness that a head continues every head that it co-signed before."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    head: TreeHead
    witness: Annotated[str, Field(min_length=1, max_length=100)]
    cosigned_at: str
    key_id: str
    signature: Annotated[
        str, Field(pattern=r"^[0-9a-f]{128}$", description="Ed25519 over everything above")
    ]

    def line(self) -> bytes:
        """Return the line with its newline."""
        return canonical({"cosignature": self.model_dump()}) + b"\n"

    def signed_by(self, key: PublicKey) -> bool:
        """Return whether the key signed the co-signature as it is."""
        return key.verifies(self.signature, _bytes(self.model_dump(exclude={"signature"})))


class CosignatureLine(Frozen):
    """The line of a co-signature."""

    cosignature: Cosignature


def cosign(key: SigningKey, witness: str, head: TreeHead, now: datetime) -> Cosignature:
    """Return the co-signature of a head."""
    content = {
        "head": head.model_dump(),
        "witness": witness,
        "cosigned_at": canonical_time(now),
        "key_id": key.id,
    }
    return Cosignature.model_validate({**content, "signature": key.sign(_bytes(content))})


def load_last(path: Path, key: PublicKey) -> Cosignature | None:
    """Return the last co-signature of a witness's own file, None where there is no file yet.

    Raise Invalid where the file was altered: a witness that forgot what it saw is none.
    """
    content = read_private(path)
    if content is None:
        return None
    lines = content.splitlines()
    last = _parse(lines[-1]) if lines else None
    if last is None or not last.signed_by(key):
        raise Invalid(
            f"{path}: its last line is no co-signature by key {key.id}; find out who changed the "
            "file, and restore it from your backup"
        )
    return last


def append(path: Path, cosignature: Cosignature) -> None:
    """Add a co-signature to the file of a witness, which keeps the newest ones."""
    lines = (read_private(path) or b"").splitlines(keepends=True)[-_KEPT_LINES + 1 :]
    replace_private(path, b"".join([*lines, cosignature.line()]))


def load_cosignatures(path: Path, keys: Sequence[PublicKey]) -> list[Cosignature]:
    """Return the co-signatures in a file. Raise Invalid unless one of the keys signed each."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise Invalid(f"{path}: cannot be read ({error.strerror})") from error
    found = [_checked(path, number, line, keys) for number, line in enumerate(lines, start=1)]
    if not found:
        raise Invalid(f"{path}: has no co-signature; name the file of a witness")
    return found


def newest_by_key(cosignatures: Iterable[Cosignature]) -> list[Cosignature]:
    """Return the co-signature of the newest batch of each key."""
    newest: dict[str, Cosignature] = {}
    for each in cosignatures:
        known = newest.get(each.key_id)
        if known is None or known.head.batch <= each.head.batch:
            newest[each.key_id] = each
    return list(newest.values())


def _checked(path: Path, number: int, line: bytes, keys: Sequence[PublicKey]) -> Cosignature:
    found = _parse(line)
    if found is None:
        raise Invalid(f"{path}, line {number}: is not a co-signature; name the file of a witness")
    if not any(key.id == found.key_id and found.signed_by(key) for key in keys):
        raise Invalid(
            f"{path}, line {number}: none of the witness keys that you named signed it; "
            "name the public key of the witness with --witness-key"
        )
    return found


def _parse(line: bytes) -> Cosignature | None:
    try:
        return CosignatureLine.model_validate_json(line).cosignature
    except ValidationError:
        return None


def _bytes(content: dict[str, Any]) -> bytes:
    return _COSIGNATURE + canonical(content)
