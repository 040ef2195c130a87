"""What the key files of an installation hold: keys in the clear, or sealed to an identity.

A provider seals the content of a key file before it is written, and opens it after it was read. The
file stays where it is, with mode 600.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from orchestrator.crypto.private_file import read_private
from orchestrator.domain.errors import Invalid

_HEADER = b"age-encryption.org/v1"


class KeyProvider(Protocol):
    """Seals and opens the content of key files."""

    @property
    def name(self) -> str:
        """The provider, as people are shown it."""

    @property
    def seals(self) -> bool:
        """Whether files are sealed, so that one in the clear is a fault."""

    def seal(self, content: bytes) -> bytes:
        """Return what is written to the file. Raise Invalid."""

    def open(self, content: bytes, path: Path) -> bytes:
        """Return the keys of a file, which may also be in the clear. Raise Invalid."""


class PlainFiles:
    """Keys in the clear, in files that only their owner reads."""

    name = "files in the clear (mode 600)"
    seals = False

    def seal(self, content: bytes) -> bytes:
        """Return the content."""
        return content

    def open(self, content: bytes, path: Path) -> bytes:
        """Return the content. Raise Invalid where it is sealed."""
        if is_sealed(content):
            raise Invalid(
                f"{path}: is sealed by age; set key_identity_file (TOCSIN_KEY_IDENTITY_FILE) to "
                "an identity that opens it"
            )
        return content


class AgeFiles:
    """Keys in age files (age-encryption.org/v1), which an identity on another mount opens."""

    seals = True

    def __init__(self, identity_file: Path, recipients: Sequence[str] = ()) -> None:
        """Read the identity. `recipients`: whose identities open the keys as well. Raise Invalid.

        They are settings, and not in the data directory: who writes there must not choose them.
        """
        self._file = identity_file
        self._identities = read_identities(identity_file)
        own = [identity.to_public() for identity in self._identities]
        self._recipients = [*own, *(parse_recipient(text, "key_recipients") for text in recipients)]
        self.name = f"age files, opened by {identity_file}"

    def seal(self, content: bytes) -> bytes:
        """Return an age file, after it was opened again."""
        sealed = encrypt(content, self._recipients)
        if self.open(sealed, self._file) != content:
            raise Invalid(f"{self._file}: does not open what is sealed to it; nothing was changed")
        return sealed

    def open(self, content: bytes, path: Path) -> bytes:
        """Return the keys of a file. Raise Invalid where the identity does not open it."""
        if not is_sealed(content):
            return content
        return decrypt(content, self._identities, path, self._file)


PLAIN = PlainFiles()


def is_sealed(content: bytes) -> bool:
    """Return whether the content of a key file is an age file."""
    return content.startswith(_HEADER)


def read_key_file(path: Path, provider: KeyProvider) -> bytes | None:
    """Return the keys of a file; None where it does not exist. Raise Invalid."""
    content = read_private(path)
    return None if content is None else provider.open(content, path)


def new_identity() -> tuple[str, str]:
    """Return the text of a new identity, and its recipient."""
    from pyrage import x25519  # noqa: PLC0415  only where keys are sealed

    identity = x25519.Identity.generate()
    recipient = str(identity.to_public())
    return f"# public key: {recipient}\n{identity}\n", recipient


def read_identities(path: Path) -> list[Any]:
    """Return the identities of a file of mode 600, as `age-keygen` writes it. Raise Invalid."""
    from pyrage import IdentityError, x25519  # noqa: PLC0415  only where keys are sealed

    content = read_private(path)
    if content is None:
        raise Invalid(
            f"{path}: does not exist; mount it, or correct key_identity_file: without the "
            "identity, the keys cannot be opened"
        )
    lines = [line.strip() for line in content.decode("ascii", "replace").splitlines()]
    try:
        found = [
            x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")
        ]
    except IdentityError:
        found = []
    if not found:
        raise Invalid(
            f"{path}: holds no age identity (AGE-SECRET-KEY-1...); create one with "
            "`tocsin keys identity FILE`, or with age-keygen"
        )
    return found


def parse_recipient(text: str, place: str) -> Any:
    """Return a recipient. Raise Invalid that names `place`."""
    from pyrage import RecipientError, x25519  # noqa: PLC0415  only where keys are sealed

    try:
        return x25519.Recipient.from_str(text.strip())
    except RecipientError:
        raise Invalid(
            f"{place}: {text[:80]!r} is not a recipient (age1...); `tocsin keys identity` prints it"
        ) from None


def encrypt(content: bytes, recipients: Sequence[Any]) -> bytes:
    """Return an age file that each of the recipients opens alone."""
    import pyrage  # noqa: PLC0415  only where keys are sealed

    return bytes(pyrage.encrypt(content, list(recipients)))


def decrypt(content: bytes, identities: Sequence[Any], path: Path, source: Path) -> bytes:
    """Return what an age file holds. Raise Invalid that names the file and the identity's file."""
    import pyrage  # noqa: PLC0415  only where keys are sealed

    try:
        return bytes(pyrage.decrypt(content, list(identities)))
    except pyrage.DecryptError:
        raise Invalid(
            f"{path}: the identity in {source} does not open it, or the file is damaged; name the "
            "identity to which it was sealed"
        ) from None
