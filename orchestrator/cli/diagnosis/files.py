"""Checks of the data directory: its database, its keys, and whether they belong together."""

from __future__ import annotations

import sys
from contextlib import suppress

from orchestrator import first_start
from orchestrator.cli.diagnosis.model import Diagnosis, good, note, wrong
from orchestrator.crypto.key_provider import is_sealed
from orchestrator.crypto.private_file import read_private
from orchestrator.domain.errors import NotFound, TocsinError
from orchestrator.installation.identity import bound_key, load_identity
from orchestrator.installation.open import check_installation, damaged_files, open_existing
from orchestrator.key_rotation.key_files import key_files
from orchestrator.runtime import Runtime, key_provider
from orchestrator.settings import Settings
from orchestrator.store.tables import InstallationRow


async def examine_files(settings: Settings) -> tuple[list[Diagnosis], Runtime | None]:
    """Return what a start would refuse, and the runtime where it would refuse nothing."""
    damaged = damaged_files(settings, examine_bytes=sys.maxsize)
    if damaged:
        return [wrong("database", text) for text in damaged], None
    try:
        identity = await check_installation(settings)
        if identity is None:
            return [note("database", _first_start(settings))], None
        rt = await open_existing(settings)
    except NotFound:
        return [note("database", _first_start(settings))], None
    except TocsinError as error:
        return [wrong("database", str(error))], None
    found = await load_identity(rt.store)
    name = found.id if found else "unknown"
    text = f"database {settings.database_name} and keys belong to {name}"
    rotations = _unfinished_rotations(rt, found)
    return [good("database", text), _key_files(settings), *rotations, await _admin_key(rt)], rt


def _key_files(settings: Settings) -> Diagnosis:
    """Return what the key files hold: keys that the installation opened, in which form."""
    provider = key_provider(settings)
    clear = [str(path) for path in key_files(settings) if not is_sealed(read_private(path) or b"")]
    if provider.seals and clear:
        return wrong(
            "keys",
            f"{', '.join(clear)}: in the clear, in spite of key_identity_file; run `tocsin keys "
            "seal`, and rotate the keys if anyone has read them",
        )
    return good("keys", f"keys: {provider.name}")


def _unfinished_rotations(rt: Runtime, identity: InstallationRow | None) -> list[Diagnosis]:
    found = []
    if identity is not None and bound_key(rt, identity) != rt.secrets.newest_key_id:
        old, new = bound_key(rt, identity), rt.secrets.newest_key_id  # both seal the database
        text = f"the rotation from key {old} to {new} is not over; run `tocsin keys rotate` again"
        found.append(wrong("encryption key", text))
    if rt.audit_keys.is_unfinished:
        new = (rt.audit_keys.next or rt.audit_keys.current).id
        text = f"the rotation to key {new} is not over; run `tocsin keys rotate --audit` again"
        found.append(wrong("audit key", f"{text}, or its next step"))
    return found


async def _admin_key(rt: Runtime) -> Diagnosis:
    path = rt.settings.admin_key_path
    try:
        if read_private(path) is None:
            return note("admin key", f"{path}: does not exist; `tocsin key create` makes keys")
        if await first_start.has_valid_admin_key(rt):
            return good("admin key", f"{path}: is accepted, and readable by its owner only")
    except TocsinError as error:
        return wrong("admin key", f"{error}; replace the key if anyone has read it")
    return wrong("admin key", first_start.INVALID_ADMIN_KEY.format(path=path))


def _first_start(settings: Settings) -> str:
    with suppress(OSError):
        if settings.data_dir.exists():
            return f"{settings.data_dir}: holds no installation yet; `tocsin up` makes one there"
    return f"{settings.data_dir}: does not exist yet; `tocsin up` creates it"
