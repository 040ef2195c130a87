"""A process that is killed at a chosen point of its work."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

from orchestrator.store.session import Store


async def run_killed(
    work: Callable[[], Coroutine[Any, Any, None]],
    point: int,
    calls: Iterable[tuple[Any, str]],
) -> None:
    """Do the work in a process that is killed at its nth point.

    A point comes before each call of one of the functions (owner, name), and before and after
    each commit to the store. A process that has fewer points ends.
    """
    child = os.fork()
    if child == 0:
        try:
            _kill_at(point, calls)
            asyncio.run(work())
        finally:
            os._exit(0)
    await asyncio.to_thread(os.waitpid, child, 0)


def _kill_at(point: int, calls: Iterable[tuple[Any, str]]) -> None:
    passed = 0

    def pass_point() -> None:
        nonlocal passed
        passed += 1
        if passed == point:
            os.kill(os.getpid(), signal.SIGKILL)

    for owner, name in calls:
        _before(owner, name, pass_point)
    write = Store.write

    @asynccontextmanager
    async def writing(self: Store) -> AsyncIterator[Any]:
        async with write(self) as session:
            yield session
            pass_point()
        pass_point()

    Store.write = writing  # type: ignore[method-assign]


def _before(owner: Any, name: str, act: Callable[[], None]) -> None:
    original = getattr(owner, name)

    def wrapped(*arguments: Any, **options: Any) -> Any:
        act()
        return original(*arguments, **options)

    setattr(owner, name, wrapped)
