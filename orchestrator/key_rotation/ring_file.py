"""The file of the encryption keys while they are rotated: each step replaces it as a whole."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from orchestrator.crypto.keys import Key, KeyRing, KeyUse, load_ring
from orchestrator.crypto.private_file import replace_private
from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.runtime import key_provider
from orchestrator.settings import Settings


class RingFile:
    """The keys of an installation, and what of them is written."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._provider = key_provider(settings)

    @property
    def ring(self) -> KeyRing:
        """The keys as they are now. Raise Invalid."""
        path, given = self._settings.encryption_key_path, self._settings.encryption_key
        ring = load_ring(path, given, provider=self._provider)
        if ring is None:
            raise Invalid(f"{self._settings.encryption_key_path}: does not exist")
        return ring

    def key(self, use: KeyUse) -> Key | None:
        """Return the first key of this use."""
        return next((key for key in self.ring.keys if key.use is use), None)

    def add(self, key: Key) -> None:
        """Write a key that is next, which decrypts and does not encrypt yet. Raise Invalid."""
        self._write((*self.ring.keys, key))

    def require_writable(self) -> None:
        """Raise Invalid for keys in the environment."""
        if self._settings.encryption_key is not None:
            raise Invalid(
                "the encryption keys are in TOCSIN_ENCRYPTION_KEY, which Tocsin cannot change; "
                "change it where it is set (docs/operating.md#keys-in-the-environment)"
            )

    def promote(self) -> None:
        """Put the next key first, so that every process encrypts with it. Raise Invalid."""
        found = self.key(KeyUse.NEXT)
        if found is not None:
            others = [key for key in self.ring.keys if key.id != found.id]
            self._write((replace(found, use=KeyUse.CURRENT), *others))

    def retire_older(self) -> list[str]:
        """Let all keys but the newest only decrypt, and return their ids. Raise Invalid."""
        first, *others = self.ring.keys
        if any(key.use is KeyUse.CURRENT for key in others):
            self._write((first, *(replace(key, use=KeyUse.RETIRED) for key in others)))
        return [key.id for key in others]

    def require_retired(self, key_id: str) -> None:
        """Raise NotFound without this key, and Conflict where it is not retired."""
        found = self.ring.get(key_id)
        if found is None:
            raise NotFound(f"no key {key_id}; `tocsin keys list` shows them")
        if found.use is not KeyUse.RETIRED:
            raise Conflict(f"key {key_id} is not retired; run `tocsin keys rotate` first")

    def drop(self, key_id: str) -> None:
        """Remove a key. Raise Invalid."""
        self._write(tuple(key for key in self.ring.keys if key.id != key_id))

    def _write(self, keys: tuple[Key, ...]) -> None:
        self.require_writable()
        content = self._provider.seal(f"{KeyRing(keys).text()}\n".encode())
        replace_private(self._settings.encryption_key_path, content)


@contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Keep other rotations on this data directory out. Raise Conflict."""
    lock = os.open(
        settings.data_dir / ".rotation.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
    )
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Conflict("another rotation runs on this data directory; wait for it") from None
    finally:
        os.close(lock)
