"""Dumps of a PostgreSQL database by its own tools, which see one moment of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.errors import Invalid, Unavailable

_SECONDS = 3600.0


def dump_database(url: str, target: Path) -> None:
    """Write a dump while the database is in use. Raise Invalid, Unavailable."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    _run(url, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={target}")


def load_dump(url: str, source: Path, *, replace: bool) -> None:
    """Restore a dump, as a whole or not at all. Raise Invalid, Unavailable.

    `replace`: drop the objects of the dump first.
    """
    options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    options += ["--clean", "--if-exists"] if replace else []
    _run(url, "pg_restore", *options, str(source))


async def other_connections(session: AsyncSession) -> int:
    """Return how many other clients are connected to the database; its own vacuum is none."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    return int(await session.scalar(text(query)) or 0)


def _run(url: str, tool: str, *options: str) -> None:
    found = shutil.which(tool)
    if found is None:
        raise Invalid(f"{tool} is not installed; install the client tools of PostgreSQL")
    parts = make_url(url)
    place = {
        "--host": parts.query.get("host") or parts.host,
        "--port": parts.port,
        "--username": parts.username,
        "--dbname": parts.database,
    }
    given = [f"{name}={value}" for name, value in place.items() if value]
    password = {"PGPASSWORD": parts.password} if parts.password else {}
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    try:
        subprocess.run(  # noqa: S603 - no shell, and known options
            [found, "--no-password", *given, *options],
            env={**environment, **password},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        reason = " ".join(str(error.stderr).split())[:500] or f"exit code {error.returncode}"
        raise Unavailable(f"{tool}: {reason}") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{tool}: took longer than {_SECONDS:g} s") from error
