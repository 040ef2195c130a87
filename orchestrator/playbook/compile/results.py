"""What later steps see under `steps.ID`, per kind of step. The interpreter makes these shapes; the compiler checks against them.

| step | `steps.ID` |
| --- | --- |
| use (a read) | the fields of the action's output |
| use (a change) | the fields of the action's output, and `changed`, `summary`, `target: {type, value}` |
| parallel | an object: the id of each branch -> its result |
| for_each | `{count, succeeded, failed: int, items: [{item, ok: bool, error: text or null, steps: {id: result}}]}` |
| choose | `{branch: int or null}`: index of the branch taken, from 0; null: `otherwise` |
| repeat | `{rounds: int, met: bool}` |
| wait | `{waited: bool, event: an alert or null}`; `waited` is false when the event did not come in time |
| ask | the filled form: an object, field -> answer; a field that was not required may be null |
| call | `{status: text, steps: {id: anything}}` |

Null stands for a step that did not run or did not end well: `when` was false, it failed and `on_error` went on, its branch of
`choose` was not taken, an `ask` with `otherwise: continue` got no answer.

Steps inside of `parallel`, `choose`, `repeat` and `on_error` are seen flat, as `steps.THEIR_ID`, once the block is over; inside
of `repeat`, those of this round. Steps inside of `for_each` are seen from within the same item only, and from outside through `items`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.playbook import plan
from orchestrator.playbook.language.types import (
    ANY,
    BOOL,
    INT,
    NUMBER,
    STRING,
    ListOf,
    ObjectOf,
    Type,
    alert_type,
    nullable,
    one_of,
)

CHOOSE = ObjectOf({"branch": nullable(INT)})
REPEAT = ObjectOf({"rounds": INT, "met": BOOL})
CALL = ObjectOf({"status": STRING, "steps": ObjectOf(more=True)})
RUN = ObjectOf(
    {
        "id": STRING,
        "mode": one_of("live", "dry_run"),
        "playbook": STRING,
        "version": INT,
        "started_at": STRING,
    }
)


def for_each(item: Type, steps: Mapping[str, Type]) -> ObjectOf:
    """The result of a `for_each` over items of a type. The steps of an item that failed may be null."""
    inner = ObjectOf({name: nullable(kind) for name, kind in steps.items()})
    entry = ObjectOf({"item": item, "ok": BOOL, "error": nullable(STRING), "steps": inner})
    return ObjectOf({"count": INT, "succeeded": INT, "failed": INT, "items": ListOf(entry)})


def wait() -> ObjectOf:
    """The result of a `wait`."""
    return ObjectOf({"waited": BOOL, "event": nullable(alert_type())})


def ask(form: Mapping[str, plan.FormField]) -> ObjectOf:
    """The result of an `ask`."""
    return ObjectOf({name: _answer(field) for name, field in form.items()})


def _answer(field: plan.FormField) -> Type:
    kind: Type = {
        "text": STRING,
        "boolean": BOOL,
        "integer": INT,
        "choice": one_of(*field.choices),
    }[field.type]
    return kind if field.required else nullable(kind)


def inputs(fields: Mapping[str, plan.InputField]) -> ObjectOf:
    """What `inputs` is in a playbook that declares these."""
    return ObjectOf({name: _input(field) for name, field in fields.items()})


def _input(field: plan.InputField) -> Type:
    special: dict[str, Type] = {
        "boolean": BOOL,
        "integer": INT,
        "list": ListOf(ANY),
        "object": ObjectOf(more=True),
        "number": NUMBER,
    }
    kind = special.get(field.type, STRING)
    return kind if field.required or field.default is not None else nullable(kind)


def flat_ids(steps: Iterable[plan.AnyStep]) -> tuple[str, ...]:
    """The ids of these steps and of all inside of them that are seen flat (not those inside of `for_each`), in order."""
    return tuple(name for step in steps for name in (step.id, *flat_ids(_inside(step))))


def _inside(step: plan.AnyStep) -> tuple[plan.AnyStep, ...]:
    handlers = step.on_error if isinstance(step.on_error, tuple) else ()
    match step:
        case plan.Parallel() | plan.Repeat():
            return (*step.steps, *handlers)
        case plan.Choose():
            return (
                *(inner for branch in step.branches for inner in branch.steps),
                *step.otherwise,
                *handlers,
            )
        case _:
            return handlers
