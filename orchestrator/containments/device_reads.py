"""Reads of devices about containments, on a worker: is a change gone, which objects are tagged."""

from __future__ import annotations

import asyncio

from connectors.sdk.guard import reading_only
from connectors.sdk.transport import Access
from orchestrator.connections.call_context import read_call, undo_key
from orchestrator.connections.open import open_connection_for
from orchestrator.connections.write_guard_audit import audit_write_attempts
from orchestrator.containments.orphans import (
    LIST_TAGGED,
    LIST_WITHIN,
    Listing,
    ListTagged,
    OrphanView,
)
from orchestrator.containments.release_scope import load_release_scope
from orchestrator.containments.resolve import (
    CHECK_RELEASED,
    CheckReleased,
    DeviceAnswer,
)
from orchestrator.domain.change import Change
from orchestrator.domain.errors import TocsinError, Unavailable
from orchestrator.domain.observable import Target
from orchestrator.requests import RequestHandler
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments
from orchestrator.store.tables import EffectRow


async def check_released(rt: Runtime, message: CheckReleased) -> DeviceAnswer:
    """Read back whether every change of a containment is gone from its device."""
    async with rt.store.read() as session:
        containment = await containments.get(session, message.containment_key)
        scope = await load_release_scope(session, containment) if containment else None
    for effect in scope.to_undo if scope else ():
        objection = await _objection(rt, effect, scope.keep if scope else ())
        if objection is not None:
            return DeviceAnswer(is_gone=False, detail=objection)
    return DeviceAnswer(is_gone=True)


async def _objection(rt: Runtime, effect: EffectRow, keep: tuple[Target, ...]) -> str | None:
    """Return why the change may still be in force; None: the device does not show it."""
    change = Change.model_validate(effect.change)
    key = undo_key(effect.run_id, effect.path, change.action)
    call = read_call(effect.run_id, effect.path, key, "resolved by hand")
    try:
        connector = await open_connection_for(rt, change.connection, Access.READ)
        if connector.name != change.connector:
            return (
                f"{change.connection} is a {connector.name} now, so it cannot be asked about a "
                f"change on a {change.connector}"
            )
        async with audit_write_attempts(
            rt, change.connection, f"whether {change.action} is gone", effect.run_id
        ):
            is_gone = await connector.verify_undone(
                change.action, change.input, change.planned_change, call, keep
            )
    except TocsinError as error:
        return f"{change.connection} cannot be asked: {error}"
    return (
        None if is_gone else f"{change.connection} still shows {change.action} of {change.target}"
    )


async def list_tagged(rt: Runtime, message: ListTagged) -> Listing:
    """List the objects on a system that carry Tocsin's tag; a failure is part of the answer."""
    try:
        async with asyncio.timeout(LIST_WITHIN.total_seconds()):
            opened = await open_connection_for(rt, message.connection, Access.READ)
            async with audit_write_attempts(rt, message.connection, "which objects are tagged"):
                with reading_only(opened.transport):
                    tagged = await opened.list_tagged()
    except TimeoutError:
        seconds = int(LIST_WITHIN.total_seconds())
        return Listing(listed=False, why=f"no answer within {seconds} seconds")
    except TocsinError as error:
        return Listing(listed=False, why=str(error))
    except Exception as error:  # noqa: BLE001 - a connector may raise anything, and its text may contain a secret
        why = str(Unavailable(f"the connector failed ({type(error).__name__})"))
        return Listing(listed=False, why=why)
    omitted = (f"{action} is not listed: {why}" for action, why in opened.untagged.items())
    return Listing(
        listed=True,
        why="; ".join(omitted) or None,
        tagged=[
            OrphanView(action=item.action, target=item.target, tag=item.tag, note=item.note)
            for item in tagged
        ],
    )


CHECK_RELEASED_HANDLER = RequestHandler(CHECK_RELEASED, check_released)
LIST_TAGGED_HANDLER = RequestHandler(LIST_TAGGED, list_tagged)
