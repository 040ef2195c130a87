"""Where the keys that encrypt come from, how one is made per purpose, and how they are rotated.

The text form, the same in the file and in the environment: base64 of 32 bytes, or `id:base64,id:base64,...`
with the newest first. The newest encrypts; all of them decrypt.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from orchestrator.crypto.private_file import create_private, read_private
from orchestrator.domain.errors import Invalid

KEY_BYTES = 32
_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")
_MEND = "make one with: openssl rand -base64 32"


@dataclass(frozen=True, slots=True)
class Key:
    """32 bytes and the name that ciphertexts know them by; the bytes are never printed."""

    id: str
    material: bytes = field(repr=False)


class KeyRing:
    """The keys of one purpose: the newest encrypts, every one of them decrypts."""

    def __init__(self, keys: Iterable[Key]) -> None:
        """Takes the newest first. Raises Invalid for no key, for an id or a key given twice, for a wrong length."""
        ordered = tuple(keys)
        if not ordered:
            raise Invalid("a key ring needs a key; " + _MEND)
        self._by_id = {key.id: key for key in ordered}
        if len(self._by_id) < len(ordered):
            raise Invalid("a key id stands twice in the key ring; give each key an id of its own")
        if len({key.material for key in ordered}) < len(ordered):
            raise Invalid(
                "one key stands under two ids in the key ring; a rotated key must be new; " + _MEND
            )
        if any(len(key.material) != KEY_BYTES for key in ordered):
            raise Invalid(f"a key in the key ring is not {KEY_BYTES} bytes long; " + _MEND)
        self._keys = ordered

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._by_id)})"

    @property
    def newest(self) -> Key:
        """The key to encrypt with."""
        return self._keys[0]

    @property
    def ids(self) -> tuple[str, ...]:
        """Every key's id, newest first."""
        return tuple(self._by_id)

    def get(self, key_id: str) -> Key | None:
        """The key of that id, if the ring still holds it."""
        return self._by_id.get(key_id)

    def derive(self, purpose: str) -> KeyRing:
        """A ring for one purpose; what one purpose's key encrypted, another's cannot open."""
        return KeyRing(Key(key.id, derive(key.material, purpose)) for key in self._keys)

    @staticmethod
    def parse(text: str, place: str) -> KeyRing:
        """Reads the text form; `place` is named in what goes wrong. Raises Invalid, without repeating any of the text."""
        entries = [entry.strip() for entry in text.replace("\n", ",").split(",") if entry.strip()]
        if not entries:
            raise Invalid(f"{place}: holds no key; {_MEND}")
        try:
            return KeyRing(
                _parse_entry(entry, f"{place}, key {number}")
                for number, entry in enumerate(entries, start=1)
            )
        except Invalid as error:
            raise Invalid(
                str(error) if str(error).startswith(place) else f"{place}: {error}"
            ) from None


def derive(master: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose (`secrets`, `payloads`, ...): HKDF-SHA-256."""
    return HKDF(
        algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"tocsin:key:1:" + purpose.encode()
    ).derive(master)


def load_or_create_ring(path: Path, env_value: SecretStr | None = None) -> KeyRing:
    """The ring from the environment where it is given, else from the file, which is made where it is missing.

    Raises Invalid where the file is open to others or anything in it is no key; an existing file is never changed.
    """
    if env_value is not None and env_value.get_secret_value().strip():
        return KeyRing.parse(env_value.get_secret_value(), "the key in the environment")
    content = read_private(path)
    if content is None:
        create_private(path, base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
        content = read_private(path)  # another process may have been first: its key counts
    return KeyRing.parse((content or b"").decode("ascii", "replace"), str(path))


def load_or_create_key(path: Path, env_value: SecretStr | None = None) -> bytes:
    """The newest key alone: 32 bytes. Raises as `load_or_create_ring`."""
    return load_or_create_ring(path, env_value).newest.material


def _parse_entry(entry: str, place: str) -> Key:
    name, colon, encoded = entry.rpartition(":")
    try:
        material = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid(f"{place}: is not base64; {_MEND}") from None
    if len(material) != KEY_BYTES:
        raise Invalid(f"{place}: is {len(material)} bytes long, not {KEY_BYTES}; {_MEND}")
    if len(set(material)) == 1:
        raise Invalid(f"{place}: is one byte repeated, which anyone can guess; {_MEND}")
    if colon and not _ID.fullmatch(name):
        raise Invalid(f"{place}: its id may have up to 32 letters, digits, '.', '_' and '-'")
    return Key(name or _fingerprint(material), material)


def _fingerprint(material: bytes) -> str:
    # Of a derived value, so that the id, which stands beside every ciphertext, says nothing about the key.
    return hashlib.sha256(derive(material, "id")).hexdigest()[:12]
