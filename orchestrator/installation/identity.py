"""The identity of an installation: an id in its database, bound to its keys by a check value."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy.exc import DBAPIError

from orchestrator.domain.digest import new_id
from orchestrator.domain.errors import Invalid
from orchestrator.installation.marker import Marker, save_marker
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.migrate import Revision, revision_state
from orchestrator.store.queries import records
from orchestrator.store.session import Store
from orchestrator.store.sqlite_file import is_damage
from orchestrator.store.tables import InstallationRow
from orchestrator.store.tables.installation import SLOT

_BACKUP = "(docs/operating.md#backup)"


class KeyState(StrEnum):
    """Whether the keys of this process are those of the database."""

    OK = "ok"
    FOREIGN = "foreign"
    """Those of another installation."""
    UNKNOWN = "unknown"
    """The database does not say, as it does not answer or was never started on."""


async def load_identity(store: Store) -> InstallationRow | None:
    """Return the identity in a database; None where no Tocsin was ever started on it.

    Raise the driver's error where the database does not answer.
    """
    if await revision_state(store) is not Revision.CURRENT:
        return None
    async with store.read() as session:
        return await records.get(session, InstallationRow, SLOT)


async def establish_identity(rt: Runtime) -> InstallationRow:
    """Give a migrated database its identity at the first start, and mark the data directory.

    Raise Invalid for keys of another installation.
    """
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, [InstallationRow.__tablename__])
        found = await records.get(session, InstallationRow, SLOT)
        if found is None:
            found = _new_identity(rt)
            await records.add(session, found)
        verify_keys(rt, found)
    save_marker(rt.settings.data_dir, Marker(id=found.id, database=rt.settings.database_name))
    return found


def bound_key(rt: Runtime, identity: InstallationRow) -> str:
    """Return the id of the encryption key by which everything is sealed."""
    return rt.secrets.key_id_of(identity.key_check)


def bind_key(rt: Runtime, identity: InstallationRow) -> None:
    """Note that everything is sealed by the newest encryption key now."""
    identity.key_check = _check_value(rt, identity.id)
    identity.key_since = rt.clock()


def verify_keys(rt: Runtime, identity: InstallationRow) -> None:
    """Raise Invalid, with what to do, where a key is not that of the database."""
    owner = f"installation {identity.id} of {identity.created_at:%Y-%m-%d}"
    try:
        rt.secrets.open(identity.key_check, _context(identity.id))
    except Invalid:
        place = (
            "TOCSIN_ENCRYPTION_KEY"
            if rt.settings.encryption_key is not None
            else rt.settings.encryption_key_path
        )
        raise Invalid(
            f"{place}: is not the encryption key of {rt.settings.database_name} ({owner}); put the "
            f"key of its backup back {_BACKUP}, as no stored secret can be read with another"
        ) from None
    if rt.audit_keys.find(identity.audit_key) is None:
        raise Invalid(
            f"{rt.settings.audit_key_path}: is not the audit key of {rt.settings.database_name} "
            f"({owner}); put the key of its backup back {_BACKUP}, as another cannot sign its trail"
        )


async def key_state(rt: Runtime) -> KeyState:
    """Return whether the keys of this process are those of the database."""
    try:
        identity = await load_identity(rt.store)
    except (DBAPIError, OSError):
        return KeyState.UNKNOWN
    if identity is None:
        return KeyState.UNKNOWN
    try:
        verify_keys(rt, identity)
    except Invalid:
        return KeyState.FOREIGN
    return KeyState.OK


def damage_of(error: BaseException) -> str | None:
    """Return the driver's message where it says that the database is damaged."""
    original = getattr(error, "orig", None) or error
    return str(original) if is_damage(original) else None


def _new_identity(rt: Runtime) -> InstallationRow:
    installation = new_id("installation")
    return InstallationRow(
        id=installation,
        key_check=_check_value(rt, installation),
        key_since=rt.clock(),
        audit_key=rt.audit_key.public.hex,
        created_at=rt.clock(),
    )


def _check_value(rt: Runtime, installation: str) -> bytes:
    return rt.secrets.seal(installation.encode(), _context(installation))


def _context(installation: str) -> bytes:
    return b"installation:" + installation.encode()
