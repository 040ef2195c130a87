"""Restore of a backup into a data directory and a database, and what it leaves to people."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from orchestrator.audit.anchor import Anchor, BrokenTrail
from orchestrator.audit.checkpoint import Checkpoint
from orchestrator.audit.keys.change import (
    KeyChange,
    changes_between,
    keys_around,
    load_key_changes,
)
from orchestrator.audit.rekey.seal_change import repeat_key_changes
from orchestrator.audit.restored import Restore, describe_restore, record_restore
from orchestrator.audit.sealer import seal_pending
from orchestrator.backup.manifest import DUMP, KEYS, SQLITE, TEMPORAL, Manifest, check_backup
from orchestrator.backup.sealed_keys import Keys, open_keys
from orchestrator.crypto.private_file import create_private, sync_folder
from orchestrator.crypto.signing import (
    PublicKey,
    SigningKey,
    load_signing_key,
    next_path,
    parse_signing_key,
)
from orchestrator.domain.clock import Clock, utc_now
from orchestrator.domain.errors import Conflict, Invalid
from orchestrator.domain.incident import TaskKind
from orchestrator.incidents.tasks import open_task
from orchestrator.installation.identity import load_identity, verify_keys
from orchestrator.installation.lock import FILE as LOCK_FILE
from orchestrator.installation.lock import locked
from orchestrator.installation.marker import load_marker
from orchestrator.runtime import Runtime, key_provider, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.migrate import migrate
from orchestrator.store.postgresql_dump import load_dump, other_connections
from orchestrator.store.queries import audit, containments
from orchestrator.store.sqlite_file import is_in_use

_LEAVING_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    manifest: Manifest
    restore: Restore
    held: int
    """Containments that are to be in force, which are read back from their devices."""
    moved: Path | None
    """Where the data directory that it replaced is now."""


async def restore_backup(
    settings: Settings,
    folder: Path,
    passphrase: SecretStr | None = None,
    *,
    replace: bool = False,
    clock: Clock = utc_now,
) -> Restored:
    """Put a backup in the place of the data directory and the database.

    `replace`: also where they hold something; the data directory is moved aside. Raise Invalid for
    a backup that is damaged or of another installation, Conflict where Tocsin runs or something is
    in the way.
    """
    keys = open_keys(folder / KEYS, passphrase) if passphrase is not None else None
    signer = _signer(settings, keys)
    changes = load_key_changes(settings.audit_keys_path)
    trusted = keys_around(signer.public, changes)
    manifest = check_backup(folder, trusted)
    _require_same_database(settings, manifest, folder)
    target = settings.data_dir
    with _not_running(settings):
        _require_free(settings, manifest, replace=replace)
        fresh = target.with_name(f".{target.name}.restoring-{secrets.token_hex(8)}")
        fresh.mkdir(mode=0o700, parents=True)
        try:
            inside = settings.model_copy(update={"data_dir": fresh})
            _place(settings, inside, folder, keys)
            lost = _lost_end(settings, signer, trusted)
            rt = open_runtime(inside, clock, create_keys=False)
            try:
                await _load_database(rt, folder, replace=replace)
                restore, held = await _continue(rt, manifest, lost, changes)
            finally:
                await rt.close()
            moved = _swap(target, fresh, clock)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return Restored(manifest, restore, held, moved)


def _signer(settings: Settings, keys: Keys | None) -> SigningKey:
    if keys is not None:
        return parse_signing_key(keys.audit_key.get_secret_value().encode(), Path(KEYS))
    if not settings.audit_key_path.exists():
        raise Invalid(
            f"{settings.audit_key_path}: does not exist; put encryption.key and audit.key of the "
            f"installation into {settings.data_dir}, or name the passphrase of a backup with keys"
        )
    return load_signing_key(settings.audit_key_path, key_provider(settings))


def _require_same_database(settings: Settings, manifest: Manifest, folder: Path) -> None:
    if (DUMP in manifest.names()) != (settings.sqlite_path is None):
        kind = "PostgreSQL" if DUMP in manifest.names() else "SQLite"
        raise Invalid(f"{folder}: is a backup of {kind}; set database_url accordingly")


def _require_free(settings: Settings, manifest: Manifest, *, replace: bool) -> None:
    """Raise unless the data directory is empty but for keys, or may be replaced."""
    target = settings.data_dir
    if not target.exists():
        return
    marker = load_marker(target)
    if marker is not None and marker.id != manifest.installation:
        raise Invalid(
            f"{target}: belongs to installation {marker.id}, and the backup is of "
            f"{manifest.installation}; choose another --data-dir"
        )
    keys = [settings.encryption_key_path, settings.audit_key_path]
    keys += [settings.audit_key_path.with_suffix(".pub"), settings.audit_keys_path]
    allowed = {path.name for path in keys}
    found = sorted(path.name for path in target.iterdir() if path.name not in {*allowed, LOCK_FILE})
    if found and not replace:
        raise Conflict(
            f"{target}: holds {', '.join(found[:3])} already; use --replace, which moves the "
            "directory aside, or choose another --data-dir"
        )


@contextmanager
def _not_running(settings: Settings) -> Iterator[None]:
    """Hold the lock of a stack, and raise Conflict where an API or a worker alone runs."""
    if not settings.data_dir.exists():
        yield
        return
    with locked(settings.data_dir):
        database = settings.sqlite_path
        if database is not None and database.exists() and is_in_use(database):
            raise Conflict(f"{database}: another process uses it; end every API and worker first")
        yield


def _place(settings: Settings, inside: Settings, folder: Path, keys: Keys | None) -> None:
    """Put the keys and the database files into the new data directory."""
    for old, new in (
        (settings.encryption_key_path, inside.encryption_key_path),
        (settings.audit_key_path, inside.audit_key_path),
        (next_path(settings.audit_key_path), next_path(inside.audit_key_path)),
        (settings.audit_keys_path, inside.audit_keys_path),
        (settings.admin_key_path, inside.admin_key_path),
    ):
        if old != new and old.exists():
            _copy(old, new)
    if keys is not None:
        provider = key_provider(settings)
        for path, key in (
            (inside.encryption_key_path, keys.encryption_key),
            (inside.audit_key_path, keys.audit_key),
        ):
            create_private(path, provider.seal(key.get_secret_value().encode()))
    for name in (SQLITE, TEMPORAL):
        if (folder / name).exists():
            _copy(folder / name, inside.data_dir / name)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o600)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _lost_end(
    settings: Settings, signer: SigningKey, trusted: Sequence[PublicKey]
) -> Checkpoint | None:
    """Return the last that the replaced data directory remembers of the trail."""
    try:
        found = Anchor(settings.audit_anchor_path, signer).read()
    except BrokenTrail:
        return None
    return found if found and any(found.signed_by(key) for key in trusted) else None


async def _other_connections(rt: Runtime) -> int:
    """Return how many others use the database. A process that has ended takes a moment to leave."""
    ends = asyncio.get_running_loop().time() + _LEAVING_SECONDS
    while True:
        async with rt.store.read() as session:
            others = await other_connections(session)
        if not others or asyncio.get_running_loop().time() > ends:
            return others
        await asyncio.sleep(0.1)


async def _load_database(rt: Runtime, folder: Path, *, replace: bool) -> None:
    if rt.settings.sqlite_path is None:
        if others := await _other_connections(rt):
            raise Conflict(
                f"{rt.settings.database_name}: {others} other connections use it; end every API "
                "and worker first"
            )
        await rt.store.close()
        load_dump(rt.settings.store_url, folder / DUMP, replace=replace)
    await migrate(rt.store)


async def _continue(
    rt: Runtime, manifest: Manifest, lost: Checkpoint | None, changes: Sequence[KeyChange]
) -> tuple[Restore, int]:
    """Continue the trail with the event of the restore, and ask people and devices to look."""
    identity = await load_identity(rt.store)
    if identity is None or identity.id != manifest.installation:
        raise Invalid("the database of the backup is of another installation than its manifest")
    # The key was rotated after the backup: the old one is gone, and the statement of both is not.
    later = changes_between(identity.audit_key, rt.audit_key.public, changes)
    if later:
        identity.audit_key = rt.audit_key.public.hex
    verify_keys(rt, identity)
    async with rt.store.write() as session:
        newest = await audit.newest_batch(session)
        restore = describe_restore(newest, lost, manifest.created_at)
        held = await containments.forget_verifications(session)
        now = rt.clock()
        event = await record_restore(session, restore, installation=identity.id, now=now)
        if later:
            await repeat_key_changes(rt, session, later, event)
        await open_task(
            session,
            kind=TaskKind.RESTORED,
            subject=restore.backup,
            summary=_summary(restore, held),
            now=now,
        )
    await seal_pending(rt, everywhere=True)
    return restore, held


def _summary(restore: Restore, held: int) -> str:
    lost = (
        f"events {restore.to_seq + 1}..{restore.from_seq} of the trail are lost with it"
        if restore.from_seq
        else "what happened after it is not known here"
    )
    return (
        f"Restored from the backup of {restore.backup}: {lost}. {held} containments that it has in "
        "force are read back from their devices, and differences become tasks (drift). Run "
        "`tocsin orphan list` for what was applied after the backup, then close this task."
    )


def _swap(target: Path, fresh: Path, clock: Clock) -> Path | None:
    moved = None
    if target.exists():
        moved = target.with_name(f"{target.name}.before-{clock():%Y%m%dT%H%M%SZ}")
        target.rename(moved)
    fresh.rename(target)
    sync_folder(target.parent)
    return moved
