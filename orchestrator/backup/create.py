"""Making of a backup, while Tocsin runs: both databases, a manifest, and on request the keys."""

from __future__ import annotations

import secrets
import shutil
from importlib.metadata import version
from pathlib import Path

from pydantic import SecretStr

from orchestrator.audit.keys.load import load_keys
from orchestrator.audit.transparency.heads import find_head
from orchestrator.audit.transparency.tree_head import TreeHead
from orchestrator.backup.manifest import DUMP, KEYS, SQLITE, TEMPORAL, Manifest, write_manifest
from orchestrator.backup.sealed_keys import Keys, seal_keys
from orchestrator.crypto.key_provider import KeyProvider, read_key_file
from orchestrator.crypto.private_file import sync_folder
from orchestrator.crypto.signing import SigningKey
from orchestrator.domain.errors import Conflict, Invalid
from orchestrator.installation.identity import load_identity
from orchestrator.runtime import Runtime, key_provider
from orchestrator.settings import Settings
from orchestrator.store.postgresql_dump import dump_database
from orchestrator.store.sqlite_file import copy_database


async def make_backup(rt: Runtime, folder: Path, passphrase: SecretStr | None) -> Manifest:
    """Write a backup to a new folder (mode 700), completely or not at all.

    `passphrase`: also back up the keys, under it. Raise Conflict where the folder exists, Invalid
    where it cannot be written, and BrokenTrail where the trail is not what was sealed.
    """
    _require_new(folder)
    identity = await load_identity(rt.store)
    if identity is None:
        raise Invalid(f"{rt.settings.database_name}: holds no installation yet")
    content = {
        "version": version("tocsin"),
        "created_at": rt.clock().isoformat(),
        "installation": identity.id,
        "environment": rt.settings.environment,
        "head": await _head(rt),
    }
    fresh = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}")
    try:
        fresh.mkdir(mode=0o700, parents=True)
        try:
            _copy(rt, fresh)
            if passphrase is not None:
                seal_keys(fresh / KEYS, read_keys(rt.settings), passphrase)
            manifest = write_manifest(fresh, await _signer(rt), content)
            fresh.rename(folder)
            sync_folder(folder.parent)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise Invalid(
            f"{folder}: cannot be written ({error.strerror}); name a folder with enough space"
        ) from error
    return manifest


def _require_new(folder: Path) -> None:
    if folder.exists():
        raise Conflict(f"{folder}: exists already; name a new folder for each backup")


def _copy(rt: Runtime, folder: Path) -> None:
    """Copy both databases, Temporal's first: runs that it lacks continue from their records."""
    settings = rt.settings
    if settings.temporal_bundled and settings.temporal_db_path.exists():
        copy_database(settings.temporal_db_path, folder / TEMPORAL)
    if settings.sqlite_path is not None:
        copy_database(settings.sqlite_path, folder / SQLITE)
    else:
        dump_database(settings.store_url, folder / DUMP)


async def _head(rt: Runtime) -> dict[str, object] | None:
    """Return the head of the trail before the copy, which the copy continues."""
    head: TreeHead | None = await find_head(rt)
    return head.model_dump() if head else None


async def _signer(rt: Runtime) -> SigningKey:
    async with rt.store.read() as session:
        return (await load_keys(rt, session)).signer


def read_keys(settings: Settings) -> Keys:
    """Return both keys of an installation. Raise Invalid where they cannot be opened."""
    provider = key_provider(settings)
    encryption = settings.encryption_key or _read(settings.encryption_key_path, provider)
    return Keys(encryption_key=encryption, audit_key=_read(settings.audit_key_path, provider))


def _read(path: Path, provider: KeyProvider) -> SecretStr:
    return SecretStr((read_key_file(path, provider) or b"").decode("ascii"))
