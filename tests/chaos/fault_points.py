"""The points of the pipeline at which a process can be made to die, by name."""

from __future__ import annotations

import itertools
from pathlib import Path

from orchestrator.contracts.names import Activity

APART = {
    Activity.HANDLE_REQUEST: "no alert causes it: it answers what another process asks a worker",
    Activity.LIST_EVENTS: "no playbook of the chaos waits for another alert",
    Activity.DEBUG_START_STEP: "debug sessions touch no live system",
    Activity.DEBUG_AWAIT_STEP: "debug sessions touch no live system",
    Activity.DEBUG_UNDO_STEP: "debug sessions touch no live system",
    Activity.DEBUG_END: "debug sessions touch no live system",
    Activity.CLOSE_APPROVAL: "only a question that no one answers needs it",
    Activity.LIST_UNDOABLE: "only a run that fails asks for it; its undo is a point",
}
"""Activities without a point, and why."""
ACTIVITIES = tuple(each for each in Activity if each not in APART)
POINTS = (
    *(f"worker {name} {side}" for name in ACTIVITIES for side in ("before", "after")),
    *(
        f"worker call {name} {side}"
        for name, side in itertools.product(("apply", "undo"), ("before", "after"))
    ),
    *(
        f"{program} commit {side}"
        for program, side in itertools.product(("api", "worker"), ("before", "after"))
    ),
)


def arm(folder: Path, point: str) -> None:
    """Make the next process that reaches the point die there."""
    (folder / point).touch()


def disarm(folder: Path) -> list[str]:
    """Remove the points that no process has reached, and return them."""
    left = sorted(path.name for path in folder.iterdir())
    for name in left:
        (folder / name).unlink(missing_ok=True)
    return left
