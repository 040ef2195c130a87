"""Roll back: undo what a run changed, newest first."""

from __future__ import annotations

from orchestrator.domain.containment import LeaseEndReason
from orchestrator.engine.decide.port import ChangePort


async def roll_back(port: ChangePort, reason: str, prefix: str = "") -> list[str]:
    """Undo steps whose path begins with `prefix`, each once; return what failed, as sentences."""
    problems: dict[str, str | None] = {}
    while due := [
        step
        for step in await port.undoable_steps()
        if step.path not in problems and step.path.startswith(prefix)
    ]:
        paths = [step.path for step in due]
        replies = await port.undo(paths, LeaseEndReason.ROLLED_BACK, reason)
        for path, reply in zip(paths, replies, strict=True):
            stuck = reply.outcome == "stuck"
            problems[path] = f"{path} could not be undone: {reply.detail}" if stuck else None
    return [problem for problem in problems.values() if problem]
