"""The file of a SQLite database: whether it is whole."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

_SECONDS = 5.0  # how long to wait for a lock


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


def is_locked(error: BaseException | None) -> bool:
    """Return whether another process has locked the database."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def is_damage(error: BaseException | None) -> bool:
    """Return whether a driver's error says that the file is not a whole SQLite database."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
