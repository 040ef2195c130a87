"""Encryption keys: loaded from a file or the environment, derived per purpose, and rotated.

The text form is the same in both: base64 of 32 bytes, or `id:base64,id:base64,...` with the newest
key first. The newest key encrypts, and all of them decrypt. An id may say how a key is used:
`next/id` waits to become the newest, `retired/id` only decrypts, and authenticates nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from orchestrator.crypto.key_provider import PLAIN, KeyProvider, read_key_file
from orchestrator.crypto.private_file import create_private, file_state
from orchestrator.domain.errors import Invalid

KEY_BYTES = 32
_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")
_FIX = "create one with: openssl rand -base64 32"


class KeyUse(StrEnum):
    """What a key is used for, beyond decrypting."""

    CURRENT = ""
    """Encrypts where it is the first of these, and authenticates."""
    NEXT = "next"
    """Authenticates; it encrypts once it is put first."""
    RETIRED = "retired"
    """Nothing else."""


@dataclass(frozen=True, slots=True)
class Key:
    """32 bytes, never printed, and the id that ciphertexts carry."""

    id: str
    material: bytes = field(repr=False)
    use: KeyUse = KeyUse.CURRENT


class KeyRing:
    """The keys of one purpose: the newest encrypts, all decrypt."""

    def __init__(self, keys: Iterable[Key]) -> None:
        """Take keys, newest first. Raise Invalid for none, duplicates, and a wrong length."""
        ordered = tuple(keys)
        if not ordered:
            raise Invalid("a key ring needs a key; " + _FIX)
        self._by_id = {key.id: key for key in ordered}
        if len(self._by_id) < len(ordered):
            raise Invalid("a key id occurs twice in the key ring; give each key its own id")
        if len({key.material for key in ordered}) < len(ordered):
            raise Invalid("one key has two ids in the key ring; a rotated key must be new; " + _FIX)
        if any(len(key.material) != KEY_BYTES for key in ordered):
            raise Invalid(f"a key in the key ring is not {KEY_BYTES} bytes long; " + _FIX)
        self._keys = ordered
        newest = next((key for key in ordered if key.use is KeyUse.CURRENT), None)
        if newest is None:
            raise Invalid("no key in the key ring is current; put one first without 'next/'")
        self._newest = newest

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.ids)})"

    @property
    def newest(self) -> Key:
        """The key to encrypt with."""
        return self._newest

    @property
    def keys(self) -> tuple[Key, ...]:
        """All keys, newest first."""
        return self._keys

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all keys, newest first."""
        return tuple(key.id for key in self.keys)

    def get(self, key_id: str) -> Key | None:
        """Return the key with this id, None where the ring does not have it."""
        return self._by_id.get(key_id)

    def derive(self, purpose: str) -> KeyRing:
        """Return a ring for one purpose, which cannot open what another purpose's keys encrypt."""
        return KeyRing(replace(key, material=derive(key.material, purpose)) for key in self.keys)

    def text(self) -> str:
        """Return the text form, for a file of mode 600 only."""
        return "\n".join(
            f"{f'{key.use}/' if key.use else ''}{key.id}:{base64.b64encode(key.material).decode()}"
            for key in self.keys
        )

    @staticmethod
    def parse(text: str, place: str, fix: str = _FIX) -> KeyRing:
        """Parse the text form. Raise Invalid that names `place` and quotes none of the text.

        `fix`: what to do about a text that is no key.
        """
        entries = [entry.strip() for entry in text.replace("\n", ",").split(",") if entry.strip()]
        if not entries:
            raise Invalid(f"{place}: holds no key; {fix}")
        try:
            return KeyRing(
                _parse_entry(entry, f"{place}, key {number}", fix)
                for number, entry in enumerate(entries, start=1)
            )
        except Invalid as error:
            raise Invalid(
                str(error) if str(error).startswith(place) else f"{place}: {error}"
            ) from None


def derive(master: bytes, purpose: str) -> bytes:
    """Return 32 bytes for one purpose, such as `secrets`, by HKDF-SHA-256."""
    return HKDF(
        algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"tocsin:key:1:" + purpose.encode()
    ).derive(master)


def load_ring(
    path: Path,
    env_value: SecretStr | None = None,
    fix: str = _FIX,
    *,
    provider: KeyProvider = PLAIN,
) -> KeyRing | None:
    """Return the ring from the environment, else from the file; None where there is neither.

    Raise Invalid where others may read the file or its content is not a list of keys; `fix` is what
    the message advises then.
    """
    if env_value is not None and env_value.get_secret_value().strip():
        return KeyRing.parse(env_value.get_secret_value(), "the key in the environment", fix)
    found = read_key_file(path, provider)
    return None if found is None else WatchedRing(path, fix, provider)


class WatchedRing(KeyRing):
    """The keys of a file, which another process may rotate: each use looks whether it changed.

    A file that is gone or damaged since changes nothing.
    """

    def __init__(self, path: Path, fix: str = _FIX, provider: KeyProvider = PLAIN) -> None:
        """Read the file. Raise Invalid as `load_ring`."""
        self._path, self._fix, self._provider = path, fix, provider
        self._state = file_state(path)
        self._ring = self._parse()

    @property
    def newest(self) -> Key:
        """The key to encrypt with."""
        return self.fresh().newest

    @property
    def keys(self) -> tuple[Key, ...]:
        """All keys, newest first."""
        return self.fresh().keys

    def get(self, key_id: str) -> Key | None:
        """Return the key with this id, None where the ring does not have it."""
        return self.fresh().get(key_id)

    def derive(self, purpose: str) -> KeyRing:
        """Return a ring for one purpose, which follows the file as well."""
        return _DerivedRing(self, purpose)

    def fresh(self) -> KeyRing:
        """Return the keys that the file has now."""
        state = file_state(self._path)
        if state != self._state:
            with suppress(Invalid):
                self._ring = self._parse()
            self._state = state
        return self._ring

    def _parse(self) -> KeyRing:
        content = read_key_file(self._path, self._provider) or b""
        return KeyRing.parse(_decode(content), str(self._path), self._fix)


class _DerivedRing(WatchedRing):
    """The keys of one purpose of a watched ring, derived again when its file changes."""

    def __init__(self, master: WatchedRing, purpose: str) -> None:
        self._master, self._purpose = master, purpose
        self._source = master.fresh()
        self._derived = self._source.derive(purpose)

    def fresh(self) -> KeyRing:
        source = self._master.fresh()
        if source is not self._source:
            self._source, self._derived = source, source.derive(self._purpose)
        return self._derived


def load_or_create_ring(
    path: Path, env_value: SecretStr | None = None, provider: KeyProvider = PLAIN
) -> KeyRing:
    """Return the ring as `load_ring`; a file is created where there is none.

    An existing file is never changed. Raise Invalid as `load_ring`.
    """
    ring = load_ring(path, env_value, provider=provider)
    if ring is None:
        fresh = base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n"
        create_private(path, provider.seal(fresh))
        ring = load_ring(path, provider=provider)  # another process may have created it first
    return ring if ring is not None else KeyRing.parse("", str(path))


def _decode(content: bytes) -> str:
    return content.decode("ascii", "replace")


def _parse_entry(entry: str, place: str, fix: str) -> Key:
    name, colon, encoded = entry.rpartition(":")
    use, slash, id_ = name.rpartition("/")
    try:
        material = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid(f"{place}: is not base64; {fix}") from None
    if len(material) != KEY_BYTES:
        raise Invalid(f"{place}: is {len(material)} bytes long, not {KEY_BYTES}; {fix}")
    if len(set(material)) == 1:
        raise Invalid(f"{place}: is one byte repeated, which anyone can guess; {fix}")
    if colon and not _ID.fullmatch(id_):
        raise Invalid(f"{place}: its id may have up to 32 letters, digits, '.', '_' and '-'")
    if slash and use not in {KeyUse.NEXT, KeyUse.RETIRED}:
        raise Invalid(f"{place}: an id begins with next/, with retired/, or with neither")
    return Key(id_ or fingerprint(material), material, KeyUse(use))


def new_key(use: KeyUse) -> Key:
    """Return a new random key."""
    material = secrets.token_bytes(KEY_BYTES)
    return Key(fingerprint(material), material, use)


def fingerprint(material: bytes) -> str:
    """Return the id of a key that was given none."""
    # Of a derived value, so that the id in each ciphertext reveals nothing about the key.
    return hashlib.sha256(derive(material, "id")).hexdigest()[:12]
