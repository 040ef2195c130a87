"""A change of the audit key: the event with which the old key hands the trail to the new one.

Both keys sign the same statement: the old one to allow the change, the new one to show that its
private key exists. The event is sealed alone in a batch, and that batch is the last of the old key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError

from orchestrator.crypto.private_file import read_private, replace_private
from orchestrator.crypto.signing import PublicKey, SigningKey
from orchestrator.domain.audit_batch import Hash
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.digest import canonical
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen

_STATEMENT = b"tocsin:audit:key-change:1\n"
_Signature = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


class KeyChange(Frozen):
    """The statement that another key signs the trail from now on."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        json_schema_extra={
            "example": {
                "installation": "installation_019a8c7d21f04b6c1e2f3a4b5c6d",
                "old_key": "3b" * 32,
                "new_key": "9f" * 32,
                "signed_by_old": "c4" * 64,
                "signed_by_new": "d5" * 64,
            }
        },
    )

    installation: Annotated[str, Field(max_length=100, description="Whose trail it is.")]
    old_key: Annotated[Hash, Field(description="The public key until now.")]
    new_key: Annotated[Hash, Field(description="The public key from now on.")]
    signed_by_old: Annotated[_Signature, Field(description="Ed25519 over everything above.")]
    signed_by_new: Annotated[_Signature, Field(description="The same by the new key.")]

    @property
    def old(self) -> PublicKey:
        """The key until now."""
        return PublicKey.parse(self.old_key, "the old audit key")

    @property
    def new(self) -> PublicKey:
        """The key from now on."""
        return PublicKey.parse(self.new_key, "the new audit key")

    def is_signed(self) -> bool:
        """Return whether both keys signed the statement as it is."""
        message = _message(self.installation, self.old_key, self.new_key)
        return self.old.verifies(self.signed_by_old, message) and self.new.verifies(
            self.signed_by_new, message
        )


def sign_key_change(old: SigningKey, new: SigningKey, installation: str) -> KeyChange:
    """Return the statement that the new key follows the old one."""
    message = _message(installation, old.public.hex, new.public.hex)
    return KeyChange(
        installation=installation,
        old_key=old.public.hex,
        new_key=new.public.hex,
        signed_by_old=old.sign(message),
        signed_by_new=new.sign(message),
    )


def is_key_change(record: Mapping[str, Any]) -> bool:
    """Return whether an event claims to change the key."""
    return record.get("kind") == EventKind.AUDIT_KEY_CHANGED


def parse_key_change(record: Mapping[str, Any]) -> KeyChange | None:
    """Return the statement of an event that both keys signed; None for any other event."""
    if not is_key_change(record):
        return None
    try:
        found = KeyChange.model_validate(record.get("data"))
        return found if found.is_signed() else None
    except (ValidationError, Invalid):
        return None


def keys_around(key: PublicKey, changes: Sequence[KeyChange]) -> list[PublicKey]:
    """Return the keys that signed statements connect with a key, oldest first."""
    keys = [key]
    signed = [change for change in changes if change.is_signed()]
    for change in signed:
        if change.old == keys[-1] and change.new not in keys:
            keys.append(change.new)
    for change in reversed(signed):
        if change.new == keys[0] and change.old not in keys:
            keys.insert(0, change.old)
    return keys


def changes_between(old: str, new: PublicKey, changes: Sequence[KeyChange]) -> Sequence[KeyChange]:
    """Return the signed changes from one public key (hex) to another; none where none lead there.

    Each key changes once: a later statement about the same key is not followed.
    """
    found: list[KeyChange] = []
    for change in changes:
        if change.is_signed() and change.old_key == (found[-1].new_key if found else old):
            found.append(change)
            if change.new == new:
                return found
    return ()


def load_key_changes(path: Path) -> list[KeyChange]:
    """Return the statements in the file of a data directory; none without it. Raise Invalid."""
    lines = (read_private(path) or b"").splitlines()
    try:
        return [_Line.model_validate_json(line).key_change for line in lines]
    except ValidationError as error:
        raise Invalid(
            f"{path}: has a line that is no change of the audit key; restore it from your backup"
        ) from error


def save_key_changes(path: Path, changes: Sequence[KeyChange]) -> None:
    """Write the statements, where they differ: a restore of an older backup needs them."""
    content = b"".join(canonical({"key_change": change.model_dump()}) + b"\n" for change in changes)
    if read_private(path) != content:
        replace_private(path, content)


class _Line(Frozen):
    key_change: KeyChange


def _message(installation: str, old: str, new: str) -> bytes:
    return _STATEMENT + canonical({"installation": installation, "old_key": old, "new_key": new})
