"""How are tests run for somebody far away? On a server of their own, one set after the other, for a bounded time."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from orchestrator.authoring.rehearsal.rehearse import Read
from orchestrator.authoring.rehearsal.report import Report, Subject, rehearsed, some
from orchestrator.authoring.rehearsal.temporal_harness import theatre
from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.playbook.catalogue import Catalogue
from orchestrator.playbook.compile.compiler import Resolve

MOST_SECONDS = 120
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


async def tried_here(
    tested: Subject,
    files: Mapping[str, str],
    catalogue: Catalogue,
    resolve: Resolve,
    *,
    only: str | None = None,
) -> Report:
    """Plays the cases. `files`: those that they name, base64. Raises PlaybookInvalid, Invalid, and Unavailable when it takes too long."""
    loop = asyncio.get_running_loop()
    async with _turns.setdefault(loop, asyncio.Lock()):
        try:
            async with asyncio.timeout(MOST_SECONDS), theatre() as stage:
                return some(
                    [await rehearsed(tested, reader(files), catalogue, resolve, stage, only=only)],
                    only,
                )[0]
        except TimeoutError:
            raise Unavailable(
                f"the tests took longer than {MOST_SECONDS} seconds; try fewer at once"
            ) from None


def reader(files: Mapping[str, str]) -> Read:
    """Reads files that were handed in. What it gives raises Invalid for one that is not among them."""

    def read(name: str) -> bytes:
        if name not in files:
            raise Invalid(f"{name}: is named by a case, and is not among the files; add it")
        try:
            return base64.b64decode(files[name], validate=True)
        except (binascii.Error, ValueError) as error:
            raise Invalid(f"{name}: is not base64 ({error})") from error

    return read
