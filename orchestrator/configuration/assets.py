"""Assets: what we know of our own hosts, users and networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import CANONICAL, ObservableType
from orchestrator.runtime import Runtime
from orchestrator.store import configured
from orchestrator.store.tables import AssetRow


class Asset(Frozen):
    """One thing of ours. `kind`: `workstation`, `server`, `domain_controller`, ..."""

    type: ObservableType
    value: str
    kind: str = "unknown"
    critical: bool = False
    tags: tuple[str, ...] = ()


async def import_assets(rt: Runtime, rows: Iterable[Mapping[str, Any]], *, actor: str) -> int:
    """Adds or replaces; how many. Raises Invalid naming the row; then nothing was imported."""
    found: dict[tuple[str, str], Asset] = {}
    for number, row in enumerate(rows, 1):
        try:
            asset = Asset.model_validate(row)
            value = CANONICAL[asset.type](asset.value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            raise Invalid(f"asset {number}: {'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}") from None
        except ValueError as error:
            raise Invalid(f"asset {number}: {error}") from None
        if (asset.type.value, value) in found:
            raise Invalid(f"asset {number}: {asset.type.value} {value} stands twice; leave one out")
        found[asset.type.value, value] = asset.model_copy(update={"value": value})
    async with rt.store.write() as session:
        await configured.put_assets(session, [asset.model_dump(mode="json") for asset in found.values()])
        told = {"count": len(found)}
        await trail.record(session, EventKind.ASSETS_IMPORTED, actor=actor, subject="assets", data=told, now=rt.clock())
    return len(found)


async def list_assets(rt: Runtime) -> tuple[Asset, ...]:
    """All of them."""
    async with rt.store.read() as session:
        return tuple(Asset.model_validate(row.model_dump()) for row in await configured.every(session, AssetRow))
