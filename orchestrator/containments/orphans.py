"""What carries our tag on a device, and is not known to be in force? A store that was put back from an old backup leaves such things."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from connectors.sdk.call import Tagged, tag_of
from connectors.sdk.guard import reading_only
from connectors.sdk.transport import Access
from orchestrator.connections.call_context import call_key
from orchestrator.connections.connections import list_connections, open_connection_for
from orchestrator.connections.write_guard_audit import attempts_noted
from orchestrator.domain.errors import NotFound, TocsinError, Unavailable
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments
from orchestrator.store.tables import ContainmentRow, EffectRow

PATIENCE_SECONDS = 20


async def list_orphans(rt: Runtime, *, connection: str | None = None) -> list[dict[str, Any]]:
    """One entry per connection: its orphans, or why it cannot list them. Asks the devices. Raises NotFound."""
    views = [
        view for view in await list_connections(rt) if connection is None or view.name == connection
    ]
    if connection is not None and not views:
        raise NotFound(
            f"there is no connection {connection!r}; `tocsin connection list` lists them"
        )
    looked = await asyncio.gather(*(_looked(rt, view.name) for view in views))
    return [
        {"connection": view.name, "connector": view.connector, **found}
        for view, found in zip(views, looked, strict=True)
    ]


async def _looked(rt: Runtime, connection: str) -> dict[str, Any]:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            opened = await open_connection_for(rt, connection, Access.READ)
            async with attempts_noted(rt, connection, "what carries our tag"):
                with reading_only(opened.way_out):
                    tagged = await opened.tagged()
    except TimeoutError:
        return {
            "listed": False,
            "why": f"no answer within {PATIENCE_SECONDS} seconds",
            "orphans": [],
        }
    except TocsinError as error:
        return {"listed": False, "why": str(error), "orphans": []}
    except Exception as error:  # noqa: BLE001  # whatever a vendor's code raises ends here; its text may hold a secret
        return {
            "listed": False,
            "why": str(Unavailable(f"the connector failed ({type(error).__name__})")),
            "orphans": [],
        }
    # Read after the device, so that what is made in this moment is known by now.
    async with rt.store.read() as session:
        held, made = await containments.of_connection(session, connection)
    known = _Known(held, made)
    orphans = [
        {"action": each.action, "target": each.target, "tag": each.tag, "note": each.note}
        for each in tagged
        if each not in known
    ]
    not_seen = "; ".join(
        f"{action} is not listed: {why}" for action, why in opened.untagged.items()
    )
    return {"listed": True, "why": not_seen or None, "orphans": orphans}


class _Known:
    """What of a connection the store knows to be in force: by the tag of the step that made it, and by its target."""

    def __init__(self, held: Sequence[ContainmentRow], made: Sequence[EffectRow]) -> None:
        self._tags = {tag_of(call_key(row.run_id, row.path, row.action)) for row in made}
        self._targets = {(row.action, row.target_value) for row in held}

    def __contains__(self, tagged: Tagged) -> bool:
        return tagged.tag in self._tags or (tagged.action, tagged.target) in self._targets
