"""An API in a thread of the tests, without Temporal: for commands that only need its answers."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
import uvicorn

from orchestrator.cli.stack.ports import Listening, save_listening
from orchestrator.settings import Settings


class ApiServer(threading.Thread):
    """An API on an event loop of its own, whose data directory commands find by `--data-dir`."""

    def __init__(self, data_dir: Path, environment: str) -> None:
        super().__init__(daemon=True)
        self.settings = Settings.load(data_dir=data_dir, environment=environment)
        self.started = threading.Event()
        self.url = self.key = ""
        self._server: uvicorn.Server | None = None
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001  raised again by `wait`
            self._error = error
        finally:
            self.started.set()

    def wait(self) -> None:
        """Return when it answers. Raise what prevented its start."""
        assert self.started.wait(60)
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        assert self._server is not None
        self._server.should_exit = True
        self.join(20)

    async def _serve(self) -> None:
        from api.app import create_app
        from orchestrator import first_start
        from orchestrator.runtime import open_runtime

        runtime = open_runtime(self.settings)
        try:
            await first_start.prepare(runtime, None)
            self.key = self.settings.admin_key_path.read_text("ascii").strip()
            app = create_app(runtime, lambda: None)
            options = uvicorn.Config(app, port=0, log_level="error", ws="none")
            self._server = uvicorn.Server(options)
            serving = asyncio.create_task(self._server.serve())
            while not self._server.started and not serving.done():  # uvicorn has no event for it
                await asyncio.sleep(0.01)
            port = self._server.servers[0].sockets[0].getsockname()[1]
            self.url = f"http://127.0.0.1:{port}"
            save_listening(self.settings.data_dir, Listening(pid=1, host="127.0.0.1", api=port))
            self.started.set()
            await serving
        finally:
            await runtime.close()


@contextmanager
def api_server(data_dir: Path, environment: str = "staging") -> Iterator[ApiServer]:
    """An API that answers until the block is left.

    Its log lines stay out of what a command prints in the same process.
    """
    configured = structlog.get_config()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.__stderr__))
    server = ApiServer(data_dir, environment)
    server.start()
    server.wait()
    try:
        yield server
    finally:
        server.end()
        structlog.configure(**configured)
