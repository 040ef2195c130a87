"""Key files in another form: sealed or in the clear, and copies that two people open together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from orchestrator.audit.trail import record
from orchestrator.backup.create import read_keys
from orchestrator.backup.sealed_keys import Keys
from orchestrator.crypto.key_provider import (
    decrypt,
    encrypt,
    is_sealed,
    new_identity,
    parse_recipient,
    read_identities,
    read_key_file,
)
from orchestrator.crypto.private_file import create_private, replace_private
from orchestrator.crypto.signing import next_path, retired_path
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Invalid
from orchestrator.key_rotation.ring_file import locked
from orchestrator.runtime import Runtime, key_provider
from orchestrator.settings import Settings

_PEOPLE = 2


def create_identity(path: Path) -> str:
    """Write a new identity to a file (mode 600), and return its recipient. Raise Conflict."""
    text, recipient = new_identity()
    if not create_private(path, text.encode()):
        raise _taken(path)
    return recipient


def seal_key_files(settings: Settings) -> list[Path]:
    """Seal both key files to the configured identity, and return them. Repeat it where it was cut.

    Raise Invalid, before anything is written, where the identity would not open them again.
    """
    _require_identity(settings)
    return _rewrite(settings, key_provider(settings).seal)


def unseal_key_files(settings: Settings) -> list[Path]:
    """Write both key files in the clear, and return them. Raise Invalid."""
    _require_identity(settings)
    return _rewrite(settings, bytes)


async def escrow_keys(rt: Runtime, path: Path, recipients: Sequence[str], *, actor: str) -> None:
    """Write a copy of both keys that all the recipients open together, one layer each.

    The event is committed first: no copy is without one. Raise Invalid for fewer than two people,
    and Conflict where the file exists.
    """
    people = [parse_recipient(text, "--recipient") for text in recipients]
    if len({str(each) for each in people}) < max(_PEOPLE, len(people)):
        raise Invalid("--recipient: name two people or more, each once")
    if await asyncio.to_thread(path.exists):
        raise _taken(path)
    keys = read_keys(rt.settings)
    encryption, audit = keys.encryption_key.get_secret_value(), keys.audit_key.get_secret_value()
    content = f"{encryption.strip()}\n{_BETWEEN}\n{audit}".encode()
    for person in people:
        content = encrypt(content, [person])
    await _record_escrow(rt, path, recipients, actor)
    if not create_private(path, content):
        raise _taken(path)


def recover_keys(settings: Settings, path: Path, identity_files: Sequence[Path]) -> list[Path]:
    """Write the keys of an escrow to the key files, which must not exist, and return them.

    Raise Invalid where an identity is missing or the file is damaged, and Conflict where an
    installation has its keys.
    """
    targets = [settings.encryption_key_path, settings.audit_key_path]
    if found := [str(each) for each in targets if each.exists()]:
        raise Conflict(f"{', '.join(found)}: exist already; move them aside to recover the keys")
    keys, provider = _open_escrow(path, identity_files), key_provider(settings)
    texts = [keys.encryption_key, keys.audit_key]
    for target, text in zip(targets, texts, strict=True):
        create_private(target, provider.seal(text.get_secret_value().encode()))
    return targets


def key_files(settings: Settings) -> list[Path]:
    """Return the key files that the installation has; keys in the environment are in none."""
    encryption = [] if settings.encryption_key is not None else [settings.encryption_key_path]
    audit = settings.audit_key_path
    every = (*encryption, audit, next_path(audit), retired_path(audit))
    return [path for path in every if path.exists()]


async def _record_escrow(rt: Runtime, path: Path, recipients: Sequence[str], actor: str) -> None:
    async with rt.store.write() as session:
        await record(
            session,
            EventKind.KEYS_ESCROWED,
            actor=actor,
            subject="keys",
            data={"file": str(path), "recipients": list(recipients)},
            now=rt.clock(),
        )


def _taken(path: Path) -> Conflict:
    return Conflict(f"{path}: exists already; name a new file")


def _require_identity(settings: Settings) -> None:
    if settings.key_identity_file is None:
        raise Invalid(
            "set key_identity_file (TOCSIN_KEY_IDENTITY_FILE) to the identity of the keys; "
            "`tocsin keys identity FILE` creates one"
        )


def _rewrite(settings: Settings, form: Callable[[bytes], bytes]) -> list[Path]:
    """Replace each key file as a whole; all are read and formed before the first is replaced."""
    provider, files = key_provider(settings), key_files(settings)
    if not files:
        raise Invalid(f"{settings.data_dir}: has no key files yet; `tocsin migrate` makes them")
    with locked(settings):
        fresh = [(path, form(read_key_file(path, provider) or b"")) for path in files]
        for path, content in fresh:
            replace_private(path, content)
    return files


def _open_escrow(path: Path, identity_files: Sequence[Path]) -> Keys:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Invalid(f"{path}: cannot be read ({error.strerror}); name the escrow") from error
    left = list(identity_files)
    while is_sealed(content):
        content = _peel(content, path, left)
    encryption, between, audit = content.decode("ascii", "replace").partition(f"\n{_BETWEEN}\n")
    if not between:
        raise Invalid(f"{path}: is not an escrow of `tocsin keys escrow`")
    with suppress(ValidationError):
        return Keys.model_validate({"encryption_key": f"{encryption}\n", "audit_key": audit})
    raise Invalid(f"{path}: is damaged; use another copy")


def _peel(content: bytes, path: Path, left: list[Path]) -> bytes:
    """Open the outermost layer by one of the identities, and use that one up."""
    for file in left:
        with suppress(Invalid):
            opened = decrypt(content, read_identities(file), path, file)
            left.remove(file)
            return opened
    raise Invalid(
        f"{path}: the identities that were given do not open it; it wants those of all people to "
        "whom it was sealed, each by --identity"
    )


_BETWEEN = "-----TOCSIN AUDIT KEY-----"
