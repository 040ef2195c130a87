"""Fault points of a program of the stack: Python imports this module at its start.

`PYTHON_CHAOS` names a folder. A file in it is named after a point, such as `worker plan before`,
and the first process that reaches the point removes the file and kills itself.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any


def reach(point: str) -> None:
    """Kill this process where the point is armed."""
    folder = os.environ.get("PYTHON_CHAOS")
    if folder is None:
        return
    program = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    try:
        Path(folder, f"{program} {point}").unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _activities(worker: ModuleType) -> None:
    original = worker.Worker.__init__

    class AtCalls(worker.ActivityInboundInterceptor):  # type: ignore[misc, name-defined]
        async def execute_activity(self, input: Any) -> Any:
            name = importlib.import_module("temporalio.activity").info().activity_type
            reach(f"{name} before")
            result = await super().execute_activity(input)
            reach(f"{name} after")
            return result

    class Points(worker.Interceptor):  # type: ignore[misc, name-defined]
        def intercept_activity(self, following: Any) -> Any:
            return AtCalls(following)

    def start(self: Any, *args: Any, **options: Any) -> None:
        options["interceptors"] = [*options.get("interceptors", ()), Points()]
        original(self, *args, **options)

    worker.Worker.__init__ = start


def _commits(session: ModuleType) -> None:
    write = session.Store.write

    @asynccontextmanager
    async def writing(self: Any) -> AsyncIterator[Any]:
        async with write(self) as opened:
            yield opened
            reach("commit before")
        reach("commit after")

    session.Store.write = writing


def _calls(connector: ModuleType) -> None:
    for name in ("apply", "undo"):
        _around(connector.Connector, name)


def _around(owner: Any, name: str) -> None:
    original = getattr(owner, name)

    async def call(*args: Any, **options: Any) -> Any:
        reach(f"call {name} before")
        result = await original(*args, **options)
        reach(f"call {name} after")
        return result

    setattr(owner, name, call)


PATCHES: dict[str, Callable[[ModuleType], None]] = {
    "temporalio.worker": _activities,
    "orchestrator.store.session": _commits,
    "connectors.sdk.connector": _calls,
}


class _Finder(importlib.abc.MetaPathFinder):
    """Patches a module once it is imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        patch = PATCHES.pop(name, None)
        if patch is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def patched(module: ModuleType) -> None:
            execute(module)
            patch(module)

        spec.loader.exec_module = patched  # type: ignore[method-assign]
        return spec


if "PYTHON_CHAOS" in os.environ:
    sys.meta_path.insert(0, _Finder())
