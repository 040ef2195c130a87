"""The result of each kind of step, as later steps see it under `steps.ID`.

The interpreter produces these shapes, and the compiler checks expressions against them.

| step | `steps.ID` |
| --- | --- |
| use (a read) | the fields of the action's output |
| use (a change) | those of the output, and `changed`, `summary`, `target: {type, value}` |
| parallel | an object: the id of each branch -> its result |
| for_each | `{count, succeeded, failed: int, items: [ITEM]}` |
| choose | `{branch: int or null}`: index of the branch taken, from 0; null for `otherwise` |
| repeat | `{rounds: int, met: bool}` |
| wait | `{waited: bool, event: alert or null}`; `waited` is false without an event in time |
| ask | the filled form: an object, field -> answer; an optional field may be null |
| call | `{status: text, steps: {id: anything}}` |

An ITEM is `{item, ok: bool, error: text or null, steps: {id: result}}`.

Null is the result of a step that did not run or did not succeed: `when` was false, it failed and
`on_error` continued, its branch of `choose` was not taken, an `ask` with `otherwise: continue` got
no answer.

Steps inside of `parallel`, `choose`, `repeat` and `on_error` are seen flat, as `steps.THEIR_ID`,
once the block has ended. Inside of `repeat`, those are the steps of this round. Steps inside of
`for_each` are seen from within the same item, and from outside through `items`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.domain.change import Effect
from orchestrator.domain.observable import ObservableType
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
    text_of,
)

CHOOSE = ObjectOf({"branch": nullable(INT)})
REPEAT = ObjectOf({"rounds": INT, "met": BOOL})
CHANGES = ListOf(
    ObjectOf(
        {
            "summary": STRING,
            "action": STRING,
            "connection": STRING,
            "effect": text_of(*(effect.value for effect in Effect if effect.changes)),
            "target": STRING,
            "target_type": text_of(*(kind.value for kind in ObservableType)),
            "lease": nullable(STRING),
        }
    )
)
"""`changes` in the question of an approval: the planned changes that people are asked about."""
CALL = ObjectOf({"status": STRING, "steps": ObjectOf(more=True)})
RUN = ObjectOf(
    {
        "id": STRING,
        "mode": text_of("live", "dry_run"),
        "playbook": STRING,
        "version": INT,
        "started_at": STRING,
    }
)


def for_each(item: Type, steps: Mapping[str, Type]) -> ObjectOf:
    """Return the result of a `for_each`. The steps of an item that failed may be null."""
    inner = ObjectOf({name: nullable(kind) for name, kind in steps.items()})
    entry = ObjectOf({"item": item, "ok": BOOL, "error": nullable(STRING), "steps": inner})
    return ObjectOf({"count": INT, "succeeded": INT, "failed": INT, "items": ListOf(entry)})


def wait() -> ObjectOf:
    """Return the result of a `wait`."""
    return ObjectOf({"waited": BOOL, "event": nullable(alert_type())})


def ask(form: Mapping[str, plan.FormField]) -> ObjectOf:
    """Return the result of an `ask`. No step can name a secret answer, which stays encrypted."""
    return ObjectOf(
        {name: _answer(field) for name, field in form.items() if not field.is_secret(name)}
    )


def _answer(field: plan.FormField) -> Type:
    kind: Type = {
        "text": STRING,
        "secret": STRING,
        "boolean": BOOL,
        "integer": INT,
        "choice": text_of(*field.choices),
    }[field.type]
    return kind if field.required else nullable(kind)


def inputs(fields: Mapping[str, plan.InputField]) -> ObjectOf:
    """Return the type of `inputs` in a playbook that declares these fields."""
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
    """Return the ids of these steps and of all inside them that are seen flat, in order."""
    return tuple(
        name
        for step in steps
        for name in (
            step.id,
            *(each for block in step.blocks() if block.is_flat for each in flat_ids(block.steps)),
        )
    )
