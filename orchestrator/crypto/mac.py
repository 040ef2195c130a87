"""Message authentication: HMAC-SHA-256 with the keys of one purpose."""

from __future__ import annotations

import hashlib
import hmac

from orchestrator.crypto.keys import KeyRing, KeyUse

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
        form, _, rest = tag.partition(":")
        key_id, _, mac = rest.partition(":")
        key = self._ring.get(key_id)
        if form != _FORM or key is None or (key.use is KeyUse.RETIRED and not retired):
            return False
        return hmac.compare_digest(_mac(key.material, message).encode(), mac.encode())


def _mac(key: bytes, message: bytes) -> str:
    return hmac.new(key, message, hashlib.sha256).hexdigest()
