"""Message authentication: HMAC-SHA-256 with the keys of one purpose."""

from __future__ import annotations

import hashlib
import hmac

from orchestrator.crypto.keys import Key, KeyRing, KeyUse

_FORM = "1"


class Authenticator:
    """Tags of one purpose (`ring.derive("row")`): the form, the key id and 64 hex digits."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def __repr__(self) -> str:
        return f"Authenticator({self._ring.newest.id})"

    def tag(self, message: bytes) -> str:
        """Return the tag of a message by the newest key."""
        key = self._ring.newest
        return f"{_FORM}:{key.id}:{_mac(key.material, message)}"

    @property
    def newest_key_id(self) -> str:
        """The id of the key that `tag` uses."""
        return self._ring.newest.id

    def is_newest(self, tag: str) -> bool:
        """Return whether the tag names the newest key."""
        return tag.startswith(f"{_FORM}:{self.newest_key_id}:")

    def verifies(self, tag: str, message: bytes, *, retired: bool = False) -> bool:
        """Return whether a key of the ring made the tag for this message, in constant time.

        `retired`: also one that was rotated away, which a thief may have by now.
        """
        key = self._key_of(tag, retired=retired)
        mac = tag.partition(":")[2].partition(":")[2]
        return key is not None and hmac.compare_digest(
            _mac(key.material, message).encode(), mac.encode()
        )

    def accepts_key_of(self, tag: str) -> bool:
        """Return whether the key that a tag names is one of the ring, and not retired."""
        return self._key_of(tag, retired=False) is not None

    def _key_of(self, tag: str, *, retired: bool) -> Key | None:
        form, _, rest = tag.partition(":")
        key = self._ring.get(rest.partition(":")[0])
        if form != _FORM or key is None or (key.use is KeyUse.RETIRED and not retired):
            return None
        return key


def _mac(key: bytes, message: bytes) -> str:
    return hmac.new(key, message, hashlib.sha256).hexdigest()
