"""The files of a signing key while it is rotated: the key in use, the next one, the retired one.

`audit.key` is in use. A rotation writes `audit.next.key`, and moves it over `audit.key` once the
trail goes on with it. The retired key is `audit.retired.key` until it is destroyed.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from orchestrator.crypto.key_provider import PLAIN, KeyProvider, read_key_file
from orchestrator.crypto.private_file import (
    create_private,
    file_state,
    replace_public,
    sync_folder,
)
from orchestrator.crypto.signing import (
    SigningKey,
    load_or_create_signing_key,
    next_path,
    parse_signing_key,
    retired_path,
)
from orchestrator.domain.errors import Invalid


class SigningKeyFile:
    """The signing keys of this machine; each use looks whether another process rotated them.

    A file that is gone or damaged since changes nothing.
    """

    def __init__(self, path: Path, provider: KeyProvider = PLAIN) -> None:
        """Read the key in use, or create it. Raise Invalid as `load_or_create_signing_key`."""
        self._path, self._provider = path, provider
        self._state = self._files()
        self._current = load_or_create_signing_key(path, provider)
        self._next = _load(next_path(path), provider)

    @property
    def current(self) -> SigningKey:
        """The key in use."""
        self._refresh()
        return self._current

    @property
    def next(self) -> SigningKey | None:
        """The key that a rotation put ready; None for none."""
        self._refresh()
        return self._next

    @property
    def is_unfinished(self) -> bool:
        """Whether a rotation was cut off, or waits for its next step."""
        return next_path(self._path).exists() or retired_path(self._path).exists()

    def find(self, public: str) -> SigningKey | None:
        """Return the key of this machine with a public key in hex; None where it has none."""
        self._refresh()
        keys = (self._current, self._next)
        return next((key for key in keys if key and key.public.hex == public), None)

    def add_next(self) -> SigningKey:
        """Put a new key ready, unless there is one. Raise Invalid where it cannot be written."""
        create_private(next_path(self._path), self._provider.seal(SigningKey.new().pem()))
        found = _load(next_path(self._path), self._provider)
        if found is None:
            raise Invalid(f"{next_path(self._path)}: was removed while a rotation began")
        return found

    def promote(self) -> None:
        """Put the next key in the place of the one in use, which is retired. Raise Invalid."""
        new, retired = next_path(self._path), retired_path(self._path)
        try:
            if new.exists():
                with suppress(FileExistsError):  # of a rotation that was cut off here
                    os.link(self._path, retired)
                new.replace(self._path)
                sync_folder(self._path.parent)
        except OSError as error:
            raise _unusable(self._path, error) from error
        replace_public(self._path.with_suffix(".pub"), self.current.public.pem)

    def destroy_retired(self) -> None:
        """Overwrite the retired key, and remove its file. Raise Invalid.

        Copies that the file system or the disk keeps, and backups, are out of reach.
        """
        retired = retired_path(self._path)
        try:
            descriptor = os.open(retired, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unusable(retired, error) from error
        try:
            os.pwrite(descriptor, secrets.token_bytes(os.fstat(descriptor).st_size), 0)
            os.fsync(descriptor)
            retired.unlink()
            sync_folder(retired.parent)
        except OSError as error:
            raise _unusable(retired, error) from error
        finally:
            os.close(descriptor)

    def _refresh(self) -> None:
        state = self._files()
        if state == self._state:
            return
        with suppress(Invalid):
            # The next key first: it moves over the key in use, and is never in neither place.
            self._next = _load(next_path(self._path), self._provider)
            if (current := _load(self._path, self._provider)) is not None:
                self._current = current
        self._state = state

    def _files(self) -> tuple[object, object]:
        return file_state(self._path), file_state(next_path(self._path))


def _load(path: Path, provider: KeyProvider) -> SigningKey | None:
    content = read_key_file(path, provider)
    return None if content is None else parse_signing_key(content, path)


def _unusable(path: Path, error: OSError) -> Invalid:
    return Invalid(
        f"{path}: cannot be replaced ({error.strerror}); let the user that runs Tocsin write to "
        f"{path.parent}, then run `tocsin keys rotate --audit` again"
    )
