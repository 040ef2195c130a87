"""Encryption with XAES-256-GCM, bound to the place that a ciphertext belongs to.

XAES-256-GCM (C2SP) is AES-256-GCM with a key per message, derived from half of a 192-bit random
nonce. Plain AES-GCM with random 96-bit nonces is safe for 2^32 messages per key, which the workflow
payloads of a busy installation reach within weeks.

Why not a library: `cryptography` has no AEAD with a nonce of 192 bits. Its Fernet has no associated
data, so that a ciphertext could be moved to another row. PyNaCl's XChaCha20-Poly1305 would be a
second cryptographic library for one function. XAES needs three AES blocks in addition to the
AES-GCM of `cryptography`, and the C2SP test vectors check it.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB

from orchestrator.crypto.keys import Key, KeyRing
from orchestrator.domain.errors import Invalid

_VERSION = 1
_NONCE = 24
_TAG = 16


class Box:
    """Encryption with the keys of one purpose (`ring.derive("secrets")`).

    `context` names the place of the ciphertext, such as `b"connection:firewall:token"`. It is
    authenticated but not stored, so that a ciphertext moved to another row does not open.
    """

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    @property
    def newest_key_id(self) -> str:
        """The id of the key that `seal` uses."""
        return self._ring.newest.id

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Encrypt a text: version, key id, 24 random bytes, ciphertext and tag.

        Results always differ.
        """
        key = self._ring.newest
        head = _head(key.id)
        nonce = secrets.token_bytes(_NONCE)
        return head + nonce + xaes_encrypt(key.material, nonce, plaintext, head + context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Return the plaintext. Raise Invalid for an altered or moved text, or an unknown key."""
        plaintext = self.open_if_bound(sealed, context)
        if plaintext is None:
            why = "it was altered or moved, or another key took that id"
            raise Invalid(f"a ciphertext under key {self.key_id_of(sealed)} does not open: {why}")
        return plaintext

    def open_if_bound(self, sealed: bytes, context: bytes) -> bytes | None:
        """Return the plaintext; None for an altered or moved text. Raise Invalid as `open`."""
        key, head = self._key_of(sealed)
        nonce = sealed[len(head) : len(head) + _NONCE]
        try:
            return xaes_decrypt(key.material, nonce, sealed[len(head) + _NONCE :], head + context)
        except InvalidTag:
            return None

    def seal_text(self, plaintext: str, context: bytes) -> str:
        """Encrypt a text into base64, for a text column."""
        return base64.b64encode(self.seal(plaintext.encode(), context)).decode()

    def open_text(self, sealed: str, context: bytes) -> str:
        """Return the plaintext of `seal_text`. Raise Invalid as `open`."""
        return self.open(_decode(sealed), context).decode()

    def key_id_of(self, sealed: bytes) -> str:
        """Return the id of the key that encrypted a text. Raise Invalid as `open`."""
        return self._key_of(sealed)[0].id

    def key_id_of_text(self, sealed: str) -> str:
        """Return the id of the key of what `seal_text` returned. Raise Invalid as `open`."""
        return self.key_id_of(_decode(sealed))

    def _key_of(self, sealed: bytes) -> tuple[Key, bytes]:
        id_end = 2 + sealed[1] if len(sealed) > 1 else 2
        if len(sealed) < id_end + _NONCE + _TAG or sealed[0] != _VERSION:
            raise Invalid(
                "a ciphertext is cut or has an unknown form: it was altered, or never encrypted"
            )
        key_id = sealed[2:id_end].decode("ascii", "replace")
        key = self._ring.get(key_id)
        if key is None:
            raise Invalid(
                f"a ciphertext needs key {key_id!r}, which is not in the key ring; "
                "add that key again, after the newest one"
            )
        return key, sealed[:id_end]


def xaes_encrypt(key: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """Return ciphertext and tag by XAES-256-GCM of C2SP: 32-byte key, 24-byte nonce."""
    return AESGCM(_message_key(key, nonce)).encrypt(nonce[12:], plaintext, associated)


def xaes_decrypt(key: bytes, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
    """Decrypt what `xaes_encrypt` returns. Raise cryptography's InvalidTag."""
    return AESGCM(_message_key(key, nonce)).decrypt(nonce[12:], ciphertext, associated)


def _message_key(key: bytes, nonce: bytes) -> bytes:
    """Derive a key by the CMAC-based KDF of NIST SP 800-108 from the nonce's first 12 bytes."""
    # ECB of single blocks is the raw AES permutation, on which CMAC is built.
    permute, subkey = _cmac_of(key)
    parts = (b"\x00" + counter + b"X\x00" + nonce[:12] for counter in (b"\x01", b"\x02"))
    blocks = ((int.from_bytes(part, "big") ^ subkey).to_bytes(16, "big") for part in parts)
    return permute.encryptor().update(b"".join(blocks))


@lru_cache(maxsize=16)
def _cmac_of(key: bytes) -> tuple[Cipher[ECB], int]:
    """Return the permutation under a key, and the subkey of its CMAC."""
    permute = Cipher(AES256(key), ECB())  # noqa: S305
    first = int.from_bytes(permute.encryptor().update(bytes(16)), "big")
    return permute, (first << 1) & ((1 << 128) - 1) ^ (0x87 if first >> 127 else 0)


def _head(key_id: str) -> bytes:
    name = key_id.encode("ascii")
    return bytes([_VERSION, len(name)]) + name


def _decode(sealed: str) -> bytes:
    try:
        return base64.b64decode(sealed, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("a ciphertext is not base64: it was altered, or never encrypted") from None
