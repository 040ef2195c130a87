"""How does a playbook look, and what became of a run of it? Drawn from what the store holds."""

from __future__ import annotations

from enum import StrEnum

from orchestrator.domain.errors import NotFound
from orchestrator.playbook.graph.mermaid import mermaid
from orchestrator.playbook.graph.model import Graph, graph_of
from orchestrator.playbook.graph.svg import svg
from orchestrator.playbook.plan import Plan
from orchestrator.registry.playbooks import check_playbook
from orchestrator.runs.queries import get_run
from orchestrator.runtime import Runtime
from orchestrator.store.queries import runs


class Format(StrEnum):
    """As what it is drawn."""

    SVG = "svg"
    MERMAID = "mermaid"
    JSON = "json"


def drawn(graph: Graph, as_: Format) -> str:
    """The picture as text of its format."""
    match as_:
        case Format.SVG:
            return svg(graph)
        case Format.MERMAID:
            return mermaid(graph)
        case Format.JSON:
            return graph.model_dump_json(exclude_none=True) + "\n"


async def draft_picture(rt: Runtime | None, text: str, file: str) -> Graph:
    """Of a playbook that need not be published. Raises PlaybookInvalid."""
    return graph_of((await check_playbook(rt, text, file)).plan)


async def playbook_picture(rt: Runtime, name: str, version: int | None) -> Graph:
    """Of a published version; None: the newest that is not retired. Raises NotFound."""
    return graph_of(await _plan(rt, name, version))


async def run_picture(rt: Runtime, run_id: str) -> Graph:
    """Of a run: the steps of its version, and what became of each. Raises NotFound."""
    run = await get_run(rt, run_id)
    return graph_of(await _plan(rt, run["playbook"], run["version"]), run)


async def _plan(rt: Runtime, name: str, version: int | None) -> Plan:
    async with rt.store.read() as session:
        row = await runs.playbook(session, name, version)
    if row is None:
        raise NotFound(
            f"there is no playbook {name}"
            + (f" version {version}" if version is not None else " that is not retired")
        )
    return Plan.model_validate(row.plan)
