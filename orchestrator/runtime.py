"""The runtime of a process: settings, store, keys and clock, opened once at its start."""

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
    """What every part of a process shares."""

    settings: Settings
    store: Store
    secrets: Box  # encrypts credentials in the store
    payloads: Box  # encrypts what passes through Temporal
    audit_key: SigningKey
    clock: Clock = utc_now
    connections: ConnectionPool = field(default_factory=ConnectionPool)  # open connectors

    async def close(self) -> None:
        """Close connectors and the database."""
        await self.connections.close()
        await self.store.close()


def open_runtime(settings: Settings, clock: Clock = utc_now) -> Runtime:
    """Create the data directory (mode 700) and the keys where they are missing.

    Uses neither the content of the database nor Temporal. Raise Invalid, naming the file, for a key
    that others can read or that is malformed, and for a directory that cannot be created.
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
            f"{folder}: cannot create the data directory ({error.strerror}); "
            "set data_dir to a folder that you own"
        ) from error


def _touch_private(path: Path) -> None:
    """Create the database file with mode 600, which SQLite also gives to its journal files."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise Invalid(
            f"{path}: cannot open the database ({error.strerror}); "
            "make the user that runs Tocsin its owner"
        ) from error
