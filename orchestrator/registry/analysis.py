"""Analysis of drafts in the sandbox: their compilation and lint, in this environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.connections.catalogue import load_catalogue
from orchestrator.playbook.compile.compiler import CompiledPlaybook
from orchestrator.playbook.lint.rule import LintFinding
from orchestrator.registry.draft_tasks import COMPILE, LINT, CallableDraft, DraftAnalysis
from orchestrator.registry.drafts import Draft
from orchestrator.runtime import Runtime
from orchestrator.sandbox.task import InProcess
from orchestrator.store.queries import records
from orchestrator.store.tables import PlaybookRow


async def compile_draft(
    rt: Runtime | None, text: str, file: str, given: Sequence[Draft] = ()
) -> CompiledPlaybook:
    """Compile a draft against this environment, and the drafts that are given with it.

    Raises PlaybookInvalid with every problem, and as `Sandbox.run` does.
    """
    request = await describe_draft(rt, text, file, given)
    found = await (InProcess() if rt is None else rt.sandbox).run(COMPILE, request)
    return CompiledPlaybook(found.plan, found.positions, text)


async def lint_draft(
    rt: Runtime | None, text: str, file: str, given: Sequence[Draft] = ()
) -> tuple[LintFinding, ...]:
    """Return every finding that is not waived; the draft may call those given with it.

    Without a runtime, the usual connections are assumed. Raises as `compile_draft`.
    """
    request = await describe_draft(rt, text, file, given)
    return await (InProcess() if rt is None else rt.sandbox).run(LINT, request)


async def describe_draft(
    rt: Runtime | None, text: str, file: str, given: Sequence[Draft] = ()
) -> DraftAnalysis:
    """Return a draft with what it may use of this environment, and of the drafts given with it."""
    drafts = tuple(CallableDraft(file=each.file, text=each.text) for each in given)
    texts = [text, *(draft.text for draft in drafts)]
    return DraftAnalysis(
        text=text,
        file=file,
        catalogue=await load_catalogue(rt),
        published=() if rt is None else await _callable(rt, texts),
        given=drafts,
    )


async def _callable(rt: Runtime, texts: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """Return the plans of published versions that the texts may call: they hold the name.

    A text with a backslash may spell a name in another way.
    """
    async with rt.store.read() as session:
        rows = await records.list_all(session, PlaybookRow)
    return tuple(
        row.plan for row in rows if any(row.name in text or "\\" in text for text in texts)
    )
