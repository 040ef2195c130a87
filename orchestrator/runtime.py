"""The runtime of a process: settings, store, keys and clock, opened once at its start."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connectors.pool import ConnectionPool
from orchestrator.crypto.box import Box
from orchestrator.crypto.key_provider import PLAIN, AgeFiles, KeyProvider, read_key_file
from orchestrator.crypto.keys import load_or_create_ring, load_ring
from orchestrator.crypto.mac import Authenticator
from orchestrator.crypto.signing import SigningKey
from orchestrator.crypto.signing_file import SigningKeyFile
from orchestrator.domain.audit_event import EventBudget
from orchestrator.domain.clock import Clock, utc_now
from orchestrator.domain.errors import Invalid
from orchestrator.sandbox.task import InProcess, Sandbox
from orchestrator.settings import Settings
from orchestrator.store.group_commit import GroupCommit
from orchestrator.store.session import Store

RESTORE_KEY = (
    "put the key of your backup back, or that of the machine with the first start "
    "(docs/operating.md#backup): with a new key, no stored secret can be read"
)
"""What to do about the encryption key of a database."""

ARRIVALS_TOGETHER = 100
"""The alerts that one transaction commits, unless a single piece of a body has more."""
REFUSALS_PER_MINUTE = 10
"""Events of refused webhooks of one source, for each reason."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What every part of a process shares."""

    settings: Settings
    store: Store
    secrets: Box  # encrypts credentials in the store
    payloads: Box  # encrypts what passes through Temporal
    audit_keys: SigningKeyFile
    clock: Clock = utc_now
    connections: ConnectionPool = field(default_factory=ConnectionPool)  # open connectors
    sandbox: Sandbox = field(default_factory=InProcess)  # analyzes the texts of clients
    tests_sandbox: Sandbox = field(default_factory=InProcess)  # runs the tests of playbooks
    # Pieces of webhook bodies, which share transactions.
    arrivals: GroupCommit[Any, Any] = field(default_factory=lambda: GroupCommit(ARRIVALS_TOGETHER))
    refusals: EventBudget = field(default_factory=lambda: EventBudget(REFUSALS_PER_MINUTE))

    @property
    def audit_key(self) -> SigningKey:
        """The key of the audit trail in `audit.key`; during a rotation, the next one may sign."""
        return self.audit_keys.current

    async def close(self) -> None:
        """Close the sandboxes, the connectors and the database."""
        await self.sandbox.close()
        await self.tests_sandbox.close()
        await self.connections.close()
        await self.store.close()


def open_runtime(
    settings: Settings, clock: Clock = utc_now, *, create_keys: bool = True
) -> Runtime:
    """Open the store and the keys; create the data directory (mode 700) where it is missing.

    `create_keys`: also create keys where they are missing, for an installation that has no
    database yet; see `orchestrator.installation` for the choice. Uses neither the content of the
    database nor Temporal. Raise Invalid, naming the file, for a key that others can read or that is
    missing or malformed, and for a directory that cannot be created.
    """
    make_data_dir(settings.data_dir)
    if not create_keys:
        require_keys(settings)
    provider = key_provider(settings)
    ring = load_or_create_ring(settings.encryption_key_path, settings.encryption_key, provider)
    audit_keys = SigningKeyFile(settings.audit_key_path, provider)
    if settings.sqlite_path is not None:
        _touch_private(settings.sqlite_path)
    store = Store(
        settings.store_url,
        Authenticator(ring.derive("row")),
        events=Authenticator(ring.derive("audit-event")),
    )
    return Runtime(
        settings,
        store,
        Box(ring.derive("secrets")),
        Box(ring.derive("payloads")),
        audit_keys,
        clock,
    )


def key_provider(settings: Settings) -> KeyProvider:
    """Return what seals and opens the key files. Raise Invalid for an identity that is missing."""
    identity = settings.key_identity_file
    if identity is None:
        return PLAIN
    if identity.resolve().is_relative_to(settings.data_dir.resolve()):
        raise Invalid(
            f"key_identity_file: {identity} is in the data directory, whose thief would have both; "
            "keep it on another mount"
        )
    return AgeFiles(identity, settings.key_recipients)


def require_keys(settings: Settings) -> None:
    """Raise Invalid, with what to do, where a key of an existing database is missing or damaged."""
    provider, path = key_provider(settings), settings.encryption_key_path
    if load_ring(path, settings.encryption_key, RESTORE_KEY, provider=provider) is None:
        raise Invalid(f"{settings.encryption_key_path}: does not exist; {RESTORE_KEY}")
    if read_key_file(settings.audit_key_path, provider) is None:
        raise Invalid(
            f"{settings.audit_key_path}: does not exist; put the key of your backup back, or that "
            "of the machine with the first start (docs/operating.md#backup): a new key cannot sign "
            "the existing audit trail"
        )


def make_data_dir(folder: Path) -> bool:
    """Create the data directory where it is missing, and return whether it was.

    Raise Invalid where it cannot be created, others can read it, or another user owns it.
    """
    existed = folder.exists()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Invalid(
            f"{folder}: cannot create the data directory ({error.strerror}); "
            "set data_dir to a folder that you own"
        ) from error
    require_private_folder(folder)
    return not existed


def require_private_folder(folder: Path) -> None:
    """Raise Invalid where others can read the data directory, or another user owns it."""
    status = folder.stat()
    if status.st_uid != os.geteuid():
        raise Invalid(
            f"{folder}: belongs to the user with id {status.st_uid}, and this process runs as "
            f"{os.geteuid()}; run Tocsin as the owner, or run: chown -R {os.geteuid()} {folder}"
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise Invalid(f"{folder}: other users can read it; run: chmod 700 {folder}")


def _touch_private(path: Path) -> None:
    """Create the database file with mode 600, which SQLite also gives to its journal files."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise Invalid(
            f"{path}: cannot open the database ({error.strerror}); "
            "make the user that runs Tocsin its owner"
        ) from error
