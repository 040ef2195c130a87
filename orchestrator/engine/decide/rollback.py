"""How is what a run changed taken back? Newest first, only what is ours, until nothing is left."""

from __future__ import annotations

from orchestrator.engine.decide.port import Port


async def roll_back(port: Port, reason: str, prefix: str = "") -> list[str]:
    """Takes back the steps whose path begins with `prefix`; what could not be taken back, as sentences. Tries each step once."""
    problems: dict[str, str | None] = {}
    while due := [
        each
        for each in await port.to_undo()
        if each.path not in problems and each.path.startswith(prefix)
    ]:
        replies = await port.undo_all([each.path for each in due], reason)
        for each, reply in zip(due, replies, strict=True):
            problems[each.path] = (
                f"{each.path} could not be taken back: {reply.detail}"
                if reply.outcome == "stuck"
                else None
            )
    return [problem for problem in problems.values() if problem]
