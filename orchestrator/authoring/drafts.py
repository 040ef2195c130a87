"""What an author asks before publishing: what is unwise about a draft, and which plans are there to compare?"""

from __future__ import annotations

from orchestrator.connections.catalogue import load_catalogue
from orchestrator.domain.errors import NotFound
from orchestrator.playbook.lint.finding import Finding
from orchestrator.playbook.lint.rules import lint_playbook
from orchestrator.playbook.plan import Plan
from orchestrator.registry.playbooks import check_playbook
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records
from orchestrator.store.tables import PlaybookRow


async def lint(rt: Runtime | None, text: str, file: str) -> tuple[Finding, ...]:
    """Every finding that is not waived; without runtime, against the usual connections. Raises PlaybookInvalid."""
    known: dict[tuple[str, int], Plan] = {}
    if rt is not None:
        async with rt.store.read() as session:
            known = {
                (row.name, row.version): Plan.model_validate(row.plan)
                for row in await records.every(session, PlaybookRow)
            }
    return lint_playbook(
        text, file, await load_catalogue(rt), lambda name, version: known.get((name, version))
    )


async def draft_plan(rt: Runtime | None, text: str, file: str) -> Plan:
    """The plan of a text. Raises PlaybookInvalid."""
    return (await check_playbook(rt, text, file)).plan


async def published_plan(rt: Runtime, name: str, version: int | None) -> Plan:
    """The plan of a version, or of the newest that is not retired. Raises NotFound."""
    async with rt.store.read() as session:
        for row in await records.versions(session, name):
            if row.version == version or (version is None and not row.retired):
                return Plan.model_validate(row.plan)
    raise NotFound(
        f"there is no playbook {name}"
        + (f" version {version}" if version is not None else " that is not retired")
    )
