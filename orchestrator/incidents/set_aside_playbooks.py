"""Tasks for versions that are set aside, as their trigger exceeded its budget."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.incident import TaskKind
from orchestrator.incidents.tasks import close_tasks, open_task
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records, tasks
from orchestrator.store.tables import PlaybookRow


async def open_tasks(rt: Runtime) -> int:
    """Open a task for each version that was set aside, once. Return how many were opened."""
    async with rt.store.read() as session:
        due = [row for row in await records.set_aside(session) if not await _is_noted(session, row)]
    for row in due:
        async with rt.store.write() as session:
            await open_task(
                session,
                kind=TaskKind.SET_ASIDE_PLAYBOOK,
                subject=_subject(row),
                summary=f"{row.name} version {row.version} starts no runs: {row.set_aside_reason}. "
                "Publish a version with a shorter trigger, or run "
                f"`tocsin playbook reinstate {_subject(row)}`",
                now=rt.clock(),
            )
    return len(due)


async def resume(session: AsyncSession, row: PlaybookRow, actor: str, now: datetime) -> bool:
    """Let a version start runs again. Return whether it was set aside."""
    if row.set_aside_at is None:
        return False
    row.set_aside_at = row.set_aside_reason = None
    await _close(session, row, actor, "the version starts runs again", now)
    return True


async def close_older(session: AsyncSession, row: PlaybookRow, actor: str, now: datetime) -> None:
    """Close the tasks of older versions, which a new one replaces."""
    for older in await records.versions(session, row.name):
        if older.version < row.version and older.set_aside_at is not None:
            await _close(session, older, actor, f"version {row.version} replaces it", now)


async def _is_noted(session: AsyncSession, row: PlaybookRow) -> bool:
    """Return whether a task is open, or was closed after the version was set aside."""
    newest = await tasks.newest(session, TaskKind.SET_ASIDE_PLAYBOOK, _subject(row))
    since = row.set_aside_at
    return newest is not None and (
        newest.closed_at is None or since is None or newest.closed_at >= since
    )


async def _close(
    session: AsyncSession, row: PlaybookRow, actor: str, comment: str, now: datetime
) -> None:
    kind, subject = TaskKind.SET_ASIDE_PLAYBOOK, _subject(row)
    await close_tasks(session, kind, subject, actor, comment, now)


def _subject(row: PlaybookRow) -> str:
    return f"{row.name}@{row.version}"
