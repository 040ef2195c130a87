"""The file of a SQLite database: whether it is whole, and copies of it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

_SECONDS = 5.0  # how long to wait for a lock
_COPY_SECONDS = 60.0


def find_damage(path: Path) -> str | None:
    """Return what is wrong with an existing database file, None where it is whole.

    Every page is read, which takes about a second for 500 MB. A file that another process has
    locked is not examined.
    """
    address = f"file:{quote(str(path.absolute()))}?mode=rw"
    try:
        connection = sqlite3.connect(address, uri=True, timeout=_SECONDS)
        try:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        return None if is_locked(error) else str(error)
    text = str(found)
    return None if text == "ok" else " ".join(text.split())[:200]


def copy_database(source: Path, target: Path) -> None:
    """Copy a database to a new file (mode 600), as it is at one moment, while it is in use."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    address = f"file:{quote(str(source.absolute()))}?mode=rw"
    with (
        closing(sqlite3.connect(address, uri=True, timeout=_COPY_SECONDS)) as original,
        closing(sqlite3.connect(target)) as copy,
    ):
        original.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # so that it is a single file
    with target.open("rb") as file:
        os.fsync(file.fileno())


def is_in_use(path: Path) -> bool:
    """Return whether another process has the database open: only alone can one leave WAL mode."""
    address = f"file:{quote(str(path.absolute()))}?mode=rw"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=0)) as connection:
            (mode,) = connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    except sqlite3.DatabaseError as error:
        return is_locked(error)
    return str(mode) != "delete"


def is_locked(error: BaseException | None) -> bool:
    """Return whether another process has locked the database."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def is_damage(error: BaseException | None) -> bool:
    """Return whether a driver's error says that the file is not a whole SQLite database."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
