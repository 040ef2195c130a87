"""What does every process share? The settings, the store, the keys and the clock, opened once at its start."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from connectors.pool import ConnectionPool
from orchestrator.crypto.box import Box
from orchestrator.crypto.keys import load_or_create_ring
from orchestrator.crypto.signing import SigningKey, load_or_create_signing_key
from orchestrator.domain.clock import Clock, utc_now
from orchestrator.domain.errors import Invalid
from orchestrator.settings import Settings
from orchestrator.store.session import Store


@dataclass(frozen=True, slots=True)
class Runtime:
    """`secrets` locks what is kept in the store, `payloads` what goes through Temporal; `connections`: connectors that are open."""

    settings: Settings
    store: Store
    secrets: Box
    payloads: Box
    audit_key: SigningKey
    clock: Clock = utc_now
    connections: ConnectionPool = field(default_factory=ConnectionPool)

    async def close(self) -> None:
        """Close connectors and the database."""
        await self.connections.close()
        await self.store.close()


def open_runtime(settings: Settings, clock: Clock = utc_now) -> Runtime:
    """Makes the data directory (mode 700) and the keys where they are missing. Touches neither the database's content nor Temporal.

    Raises Invalid, naming the file, where a key is readable to others or is none, or where the directory cannot be made.
    """
    _make_private(settings.data_dir)
    ring = load_or_create_ring(settings.encryption_key_path, settings.encryption_key)
    audit_key = load_or_create_signing_key(settings.audit_key_path)
    if settings.database_url is None:
        _touch_private(settings.data_dir / "tocsin.db")
    store = Store(settings.store_url)
    return Runtime(
        settings, store, Box(ring.derive("secrets")), Box(ring.derive("payloads")), audit_key, clock
    )


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Invalid(
            f"{folder}: the data directory cannot be made ({error.strerror}); set data_dir to a folder of yours"
        ) from error


def _touch_private(path: Path) -> None:
    """SQLite gives its journal files the mode of the database."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise Invalid(
            f"{path}: cannot be opened ({error.strerror}); let the user that runs Tocsin own it"
        ) from error
