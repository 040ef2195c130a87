"""How a secret is locked: XAES-256-GCM, bound to the place that it belongs to.

XAES-256-GCM (C2SP) is AES-256-GCM under a key of its own per message, derived from half of a 192-bit random nonce. Plain
AES-GCM's 96-bit random nonces run out after 2^32 messages, which a busy installation's workflow payloads reach in weeks.
"""

from __future__ import annotations

import base64
import binascii
import secrets

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
    """Locks and opens with a ring of keys of one purpose (`ring.derive("secrets")`).

    `context` names the place of the ciphertext (`b"connection:firewall:token"`). It is authenticated, not stored, so that a
    ciphertext moved to another row or field does not open.
    """

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    @property
    def newest_key_id(self) -> str:
        """The id of the key that `seal` uses."""
        return self._ring.newest.id

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Version, key id, 24 random bytes, ciphertext and tag. Two seals of one text differ."""
        key = self._ring.newest
        head = _head(key.id)
        nonce = secrets.token_bytes(_NONCE)
        return head + nonce + xaes_encrypt(key.material, nonce, plaintext, head + context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """The plaintext. Raises Invalid where it was altered, belongs elsewhere, or its key is not in the ring."""
        key, head = self._key_of(sealed)
        nonce = sealed[len(head) : len(head) + _NONCE]
        try:
            return xaes_decrypt(key.material, nonce, sealed[len(head) + _NONCE :], head + context)
        except InvalidTag:
            why = "it was altered or moved, or another key took that id"
            raise Invalid(f"a ciphertext under key {key.id} does not open: {why}") from None

    def seal_text(self, plaintext: str, context: bytes) -> str:
        """The same for a text column: base64."""
        return base64.b64encode(self.seal(plaintext.encode(), context)).decode()

    def open_text(self, sealed: str, context: bytes) -> str:
        """Opens what `seal_text` made. Raises Invalid as `open`."""
        try:
            raw = base64.b64decode(sealed, validate=True)
        except (binascii.Error, ValueError):
            raise Invalid(
                "a ciphertext is not base64: it was altered, or never encrypted"
            ) from None
        return self.open(raw, context).decode()

    def stale(self, sealed: bytes) -> bool:
        """Whether it is locked with an older key, and should be sealed anew before that key is dropped. Raises Invalid."""
        return self._key_of(sealed)[0].id != self._ring.newest.id

    def _key_of(self, sealed: bytes) -> tuple[Key, bytes]:
        id_end = 2 + sealed[1] if len(sealed) > 1 else 2
        if len(sealed) < id_end + _NONCE + _TAG or sealed[0] != _VERSION:
            raise Invalid(
                "a ciphertext is cut short or of an unknown form: it was altered, or never encrypted"
            )
        key_id = sealed[2:id_end].decode("ascii", "replace")
        key = self._ring.get(key_id)
        if key is None:
            raise Invalid(
                f"a ciphertext is locked with key {key_id!r}, which the ring does not hold; put that key back behind the newest"
            )
        return key, sealed[:id_end]


def xaes_encrypt(key: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """XAES-256-GCM as C2SP specifies it: 32-byte key, 24-byte nonce; ciphertext with its tag."""
    return AESGCM(_message_key(key, nonce)).encrypt(nonce[12:], plaintext, associated)


def xaes_decrypt(key: bytes, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
    """The inverse. Raises cryptography's InvalidTag."""
    return AESGCM(_message_key(key, nonce)).decrypt(nonce[12:], ciphertext, associated)


def _message_key(key: bytes, nonce: bytes) -> bytes:
    """CMAC-based KDF of NIST SP 800-108 over the nonce's first 12 bytes, in three AES blocks."""
    # ECB of single blocks is the raw AES permutation, which is what CMAC is made of.
    blocks = Cipher(AES256(key), ECB()).encryptor()  # noqa: S305
    first = int.from_bytes(blocks.update(bytes(16)), "big")
    subkey = (first << 1) & ((1 << 128) - 1) ^ (0x87 if first >> 127 else 0)
    parts = (b"\x00" + counter + b"X\x00" + nonce[:12] for counter in (b"\x01", b"\x02"))
    return b"".join(
        blocks.update((int.from_bytes(part, "big") ^ subkey).to_bytes(16, "big")) for part in parts
    )


def _head(key_id: str) -> bytes:
    name = key_id.encode("ascii")
    return bytes([_VERSION, len(name)]) + name
