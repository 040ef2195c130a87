"""Ed25519 signatures: the private key, its public key, and its short id."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from orchestrator.crypto.key_provider import PLAIN, KeyProvider, read_key_file
from orchestrator.crypto.private_file import create_private, create_public
from orchestrator.domain.errors import Invalid

_SIGNATURE = re.compile(r"[0-9a-f]{128}")
_PUBLIC = re.compile(r"[0-9a-f]{64}")


class PublicKey:
    """A public key."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self.raw = key.public_bytes_raw()
        self.id = hashlib.sha256(b"tocsin:ed25519:1\n" + self.raw).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"PublicKey({self.id})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    @property
    def hex(self) -> str:
        """The 32 bytes as 64 hex digits."""
        return self.raw.hex()

    @property
    def pem(self) -> bytes:
        """The key in PEM, as `openssl` reads it."""
        return self._key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def verifies(self, signature: str, message: bytes) -> bool:
        """Return whether the signature (128 lower-case hex digits) is valid for the message."""
        if not _SIGNATURE.fullmatch(signature):
            return False
        try:
            self._key.verify(bytes.fromhex(signature), message)
        except InvalidSignature:
            return False
        return True

    @staticmethod
    def parse(text: str, place: str) -> PublicKey:
        """Parse PEM or 64 hex digits. Raise Invalid that names `place`."""
        stripped = text.strip()
        if _PUBLIC.fullmatch(stripped):
            return PublicKey(Ed25519PublicKey.from_public_bytes(bytes.fromhex(stripped)))
        try:
            key = serialization.load_pem_public_key(stripped.encode())
        except Exception:  # noqa: BLE001 - the library raises several kinds, some from OpenSSL
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise Invalid(
                f"{place}: is not an Ed25519 public key; use audit.pub (PEM), or its 64 hex digits"
            )
        return PublicKey(key)


class SigningKey:
    """A private key. It is never printed, and leaves the process by `pem` only."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key())

    def __repr__(self) -> str:
        return f"SigningKey({self.id})"

    @property
    def id(self) -> str:
        """The id of the public key."""
        return self.public.id

    def sign(self, message: bytes) -> str:
        """Return the signature as 128 hex digits."""
        return self._key.sign(message).hex()

    def pem(self) -> bytes:
        """Return the unencrypted PKCS #8 form, for a file of mode 600 only."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    @staticmethod
    def new() -> SigningKey:
        """Return a new random key."""
        return SigningKey(Ed25519PrivateKey.generate())


def load_or_create_signing_key(path: Path, provider: KeyProvider = PLAIN) -> SigningKey:
    """Return the key in `path` (PEM, mode 600).

    Create it, and its public key in `.pub`, if missing.

    Raise Invalid where others may read the key, where it is not an Ed25519 key, and where the
    `.pub` file holds another key.
    """
    content = read_key_file(path, provider)
    if content is None:
        create_private(path, provider.seal(SigningKey.new().pem()))
        content = read_key_file(path, provider)  # another process may have created it first
    key = parse_signing_key(content or b"", path)
    public = path.with_suffix(".pub")
    # Looked for first, as a folder of secrets may be read-only.
    created = not public.exists() and create_public(public, key.public.pem)
    if not created and load_public_key(public) not in {key.public, _retired(path, provider)}:
        raise Invalid(
            f"{public}: is not the public key of {path}; "
            "find out who changed which, then remove the wrong one"
        )
    return key


def next_path(path: Path) -> Path:
    """Return the file of the key that a rotation put ready."""
    return path.with_suffix(f".next{path.suffix}")


def retired_path(path: Path) -> Path:
    """Return the file of the key that a rotation retired, until it is destroyed."""
    return path.with_suffix(f".retired{path.suffix}")


def _retired(path: Path, provider: KeyProvider) -> PublicKey | None:
    """Return the retired key of a rotation that was cut off before it wrote the public key."""
    content = read_key_file(retired_path(path), provider)
    with suppress(Invalid):
        return parse_signing_key(content or b"", path).public
    return None


def load_signing_key(path: Path, provider: KeyProvider = PLAIN) -> SigningKey:
    """Return the private key in a file of mode 600. Raise Invalid that names the file."""
    content = read_key_file(path, provider)
    if content is None:
        raise Invalid(
            f"{path}: does not exist; name your private key, "
            "or create one with `tocsin signing-key new`"
        )
    return parse_signing_key(content, path)


def load_public_key(path: Path) -> PublicKey:
    """Return the public key in a file: PEM, or 64 hex digits. Raise Invalid."""
    try:
        text = path.read_text("ascii", "replace")
    except OSError as error:
        raise Invalid(
            f"{path}: cannot be read ({error.strerror}); name the file with the public key"
        ) from error
    return PublicKey.parse(text, str(path))


def parse_signing_key(content: bytes, path: Path) -> SigningKey:
    """Return the private key in PEM. Raise Invalid that names its file."""
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except Exception:  # noqa: BLE001 - the library raises several kinds, some from OpenSSL
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise Invalid(
            f"{path}: is not an Ed25519 private key in PEM; restore it from your backup, "
            "as a new key cannot sign the old trail"
        )
    return SigningKey(key)
