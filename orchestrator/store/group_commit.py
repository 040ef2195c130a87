"""Group commit: work that arrives together shares one transaction."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

W = TypeVar("W")
R = TypeVar("R")
Commit = Callable[[Sequence[W]], Awaitable[Sequence[R]]]
"""Commits a group, all or nothing, and returns an outcome for each part, in order."""


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[W, R]):
    work: W
    size: int
    done: asyncio.Future[R]


class GroupCommit(Generic[W, R]):
    """A queue of work. What arrives during a commit forms the next group, in order of arrival.

    Where a group fails, each of its parts is committed alone, so that one failure is never that
    of another.
    """

    def __init__(self, most: int) -> None:
        """Take the size that a group has at most, unless a single part is larger."""
        self._most = most
        self._waiting: deque[_Waiting[W, R]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def run(self, work: W, size: int, commit: Commit[W, R]) -> R:
        """Commit the work with whatever else is waiting. Return its outcome, or raise its error.

        A caller that is cancelled does not stop the commit.
        """
        waiting: _Waiting[W, R] = _Waiting(work, size, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(commit))
        return await waiting.done

    async def _work(self, commit: Commit[W, R]) -> None:
        group: list[_Waiting[W, R]] = []
        try:
            while self._waiting:
                group = self._take()
                if not await _commit(group, commit, is_alone=len(group) == 1):
                    for each in group:
                        await _commit([each], commit, is_alone=True)
        finally:
            for each in (*group, *self._waiting):
                each.done.cancel()  # of those that are done already, this changes nothing
            self._waiting.clear()

    def _take(self) -> list[_Waiting[W, R]]:
        group = [self._waiting.popleft()]
        size = group[0].size
        while self._waiting and size + self._waiting[0].size <= self._most:
            group.append(self._waiting.popleft())
            size += group[-1].size
        return group


async def _commit(group: Sequence[_Waiting[W, R]], commit: Commit[W, R], *, is_alone: bool) -> bool:
    """Commit a group. Return whether every part has its outcome now."""
    try:
        outcomes = await commit([each.work for each in group])
    except Exception as error:  # noqa: BLE001 - it is raised where the work came from
        if not is_alone:
            return False
        if not group[0].done.done():
            group[0].done.set_exception(error)
        return True
    for each, outcome in zip(group, outcomes, strict=True):
        if not each.done.done():
            each.done.set_result(outcome)
    return True
