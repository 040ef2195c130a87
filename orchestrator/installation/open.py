"""Opening of an installation: refused, with what to do, where a part is missing or foreign."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.exc import DBAPIError

from orchestrator.domain.clock import Clock, utc_now
from orchestrator.domain.errors import Conflict, Invalid, NotFound, Unavailable
from orchestrator.installation.identity import damage_of, load_identity, verify_keys
from orchestrator.installation.marker import FILE, Marker, load_marker
from orchestrator.runtime import Runtime, open_runtime, require_private_folder
from orchestrator.settings import Settings
from orchestrator.store.migrate import NEWER, Revision, current_revision, revision_state
from orchestrator.store.session import Store
from orchestrator.store.sqlite_file import find_damage
from orchestrator.store.tables import InstallationRow

_RESTORE = "restore it from your backup (docs/operating.md#backup)"
_EXAMINED_BYTES = 1024**3
"""A larger file is examined by `tocsin doctor` only, as a start must not take minutes."""


async def open_first(settings: Settings, clock: Clock = utc_now) -> Runtime:
    """Open an installation, or begin a new one where there is none: for `up` and `migrate`.

    Keys are created for a database without an identity only. Raise as `check_installation`.
    """
    identity = await check_installation(settings)
    rt = open_runtime(settings, clock, create_keys=identity is None)
    return await _verified(rt, identity)


async def open_existing(settings: Settings, clock: Clock = utc_now) -> Runtime:
    """Open an installation that a first start has made; nothing is created in its place.

    A database server that does not answer is left to the caller, who waits for it. Raise NotFound
    where there is no installation, and otherwise as `check_installation`.
    """
    require_installation(settings)
    try:
        identity = await check_installation(settings)
    except Unavailable:
        identity = None
    return await _verified(open_runtime(settings, clock, create_keys=False), identity)


def require_installation(settings: Settings) -> None:
    """Raise NotFound where no first start has made anything."""
    sqlite = settings.sqlite_path
    if sqlite is not None and not sqlite.exists() and not _traces(settings):
        raise NotFound(
            f"no Tocsin here: {settings.data_dir} holds no installation; name its data directory "
            f"with --data-dir or TOCSIN_DATA_DIR, set database_url, or start one with `tocsin up "
            f"--data-dir {settings.data_dir}`"
        )


async def check_installation(
    settings: Settings, *, examine_bytes: int = _EXAMINED_BYTES
) -> InstallationRow | None:
    """Return the identity in the database, None before the first start; nothing is created.

    `examine_bytes`: the size up to which database files are read as a whole. Raise Invalid for
    files that are missing, damaged, foreign or open to others, Conflict for a database of a newer
    version, and Unavailable where the database server does not answer.
    """
    if settings.data_dir.exists():
        require_private_folder(settings.data_dir)
    for problem in damaged_files(settings, examine_bytes=examine_bytes):
        raise Invalid(problem)
    marker = load_marker(settings.data_dir)
    _require_same_database(settings, marker)
    identity = await _identity(settings)
    if identity is None and marker is not None:
        raise Invalid(
            f"{settings.database_name}: holds no Tocsin, but {settings.data_dir} belongs to "
            f"installation {marker.id}; {_RESTORE}, or choose another --data-dir"
        )
    if identity is not None and marker is not None and identity.id != marker.id:
        raise Invalid(
            f"{settings.database_name}: belongs to installation {identity.id}, and "
            f"{settings.data_dir} to {marker.id}; restore the data directory and the database from "
            "the same backup (docs/operating.md#backup), or choose another --data-dir"
        )
    return identity


def damaged_files(settings: Settings, *, examine_bytes: int = _EXAMINED_BYTES) -> list[str]:
    """Return what is wrong with the database files of the data directory, and what to do."""
    found = []
    if (sqlite := settings.sqlite_path) is not None and (
        damage := _damage(sqlite, examine_bytes=examine_bytes)
    ):
        found.append(f"{sqlite}: is damaged ({damage}); {_RESTORE}")
    temporal = settings.temporal_db_path
    if settings.temporal_bundled and (damage := _damage(temporal, examine_bytes=examine_bytes)):
        found.append(
            f"{temporal}: is damaged ({damage}); {_RESTORE}, or move temporal.db* away: runs "
            "continue from their recorded steps with a new one"
        )
    return found


def _damage(path: Path, *, examine_bytes: int) -> str | None:
    if not path.exists() or not 0 < path.stat().st_size <= examine_bytes:
        return None
    return find_damage(path)


def _require_same_database(settings: Settings, marker: Marker | None) -> None:
    """Raise Invalid where the data directory has another database, or its file is missing."""
    sqlite = settings.sqlite_path
    if sqlite is None or (sqlite.exists() and sqlite.stat().st_size > 0):
        return
    if marker is not None and "://" in marker.database:
        raise Invalid(
            f"{settings.data_dir}: the database of this installation is {marker.database}; set "
            "database_url (TOCSIN_DATABASE_URL, or --config), or choose another --data-dir"
        )
    if traces := _traces(settings):
        names = ", ".join(traces)
        raise Invalid(
            f"{sqlite}: is missing, but {settings.data_dir} holds {names}: keys without their "
            f"database; {_RESTORE}, set database_url if it is elsewhere, or remove {names} to "
            "begin a new installation"
        )


def _traces(settings: Settings) -> list[str]:
    """Return the names of the files that a first start left; empty where there was none."""
    proof = [settings.data_dir / FILE, settings.admin_key_path, settings.temporal_db_path]
    if not any(path.exists() for path in proof):
        return []
    keys = [settings.encryption_key_path, settings.audit_key_path]
    keys += [settings.audit_key_path.with_suffix(".pub"), settings.audit_head_path]
    keys += [settings.audit_anchor_path, settings.audit_keys_path]
    return [
        path.name for path in (*proof, *keys) if path.parent == settings.data_dir and path.exists()
    ]


async def _identity(settings: Settings) -> InstallationRow | None:
    sqlite = settings.sqlite_path
    if sqlite is not None and (not sqlite.exists() or not sqlite.stat().st_size):
        return None
    store = Store(settings.store_url)
    try:
        if await revision_state(store) is Revision.NEWER:
            raise Conflict(NEWER.format(found=await current_revision(store)))
        return await load_identity(store)
    except (DBAPIError, OSError) as error:
        if damage := damage_of(error):
            raise Invalid(f"{settings.database_name}: is damaged ({damage}); {_RESTORE}") from error
        raise Unavailable(
            f"{settings.database_name}: does not answer ({_reason(error)}); check that it runs, "
            "and database_url"
        ) from error
    finally:
        await store.close()


def _reason(error: Exception) -> str:
    """Return the driver's message; that of SQLAlchemy also holds the statement."""
    original = getattr(error, "orig", None) or error
    return (str(original) or type(original).__name__).partition("\n")[0]


async def _verified(rt: Runtime, identity: InstallationRow | None) -> Runtime:
    if identity is not None:
        try:
            verify_keys(rt, identity)
        except Invalid:
            await rt.close()
            raise
    return rt
