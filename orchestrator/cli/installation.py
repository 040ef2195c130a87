"""Work on the installation of this machine, without its API."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.runtime import Runtime


def on_installation(work: Callable[[Runtime], Awaitable[Any]], data_dir: Any, config: Any) -> Any:
    """Do work on the installation of this machine."""
    from orchestrator.cli.stack import ports
    from orchestrator.installation.open import open_existing
    from orchestrator.settings import Settings

    async def run() -> Any:
        settings = ports.with_stack_temporal(Settings.load(config, data_dir=data_dir))
        rt = await open_existing(settings)
        try:
            return await work(rt)
        finally:
            await rt.close()

    return asyncio.run(run())


def local_actor() -> str:
    """Return the user of this machine as the audit trail names people."""
    return f"person:{getpass.getuser()}"
