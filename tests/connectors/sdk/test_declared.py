"""A connector that breaks a rule of the sdk is refused at import, with a sentence that says the mend."""

from __future__ import annotations

import types
from typing import Any

import pytest

from connectors.sdk.action import action
from connectors.sdk.call import Call
from connectors.sdk.capability import ActionSpec, Capability, Input, Output
from connectors.sdk.connector import Connector
from connectors.sdk.settings import ConnectorSettings
from orchestrator.domain.change import Effect, PlannedChange


class Wish(Input):
    """Nothing in particular."""


class Answer(Output):
    """Nothing in particular."""


class Shut(PlannedChange):
    """The right planned_change."""


class Other(PlannedChange):
    """Another planned_change."""


class Wall(Capability):
    """A wall."""

    capability = "wall"
    usual_connection = "wall"
    actions = (
        ActionSpec(name="shut", effect=Effect.CONTAIN, input=Wish, summary="Shut."),
        ActionSpec(name="look", effect=Effect.READ, input=Wish, output=Answer, summary="Look."),
    )


async def plan_shut(self: Any, wish: Wish, call: Call) -> Shut:
    """Plans."""
    raise NotImplementedError


async def undo_shut(self: Any, shut: Shut, call: Call) -> None:
    """Undoes."""


async def shut(self: Any, shut: Shut, call: Call) -> None:
    """Shut it."""


async def look(self: Any, query: Wish, call: Call) -> Answer:
    """Look at it."""
    return Answer()


async def undo_other(self: Any, shut: Other, call: Call) -> None:
    """Undoes something else."""


async def plan_other(self: Any, wish: Wish, call: Call) -> Other:
    """Plans something else."""
    raise NotImplementedError


async def shut_without_docstring(self: Any, shut: Shut, call: Call) -> None:
    pass


async def shut_without_receipt(self: Any, wish: Wish, call: Call) -> None:
    """Takes no planned_change."""


async def look_wrongly(self: Any, query: Wish, call: Call) -> Wish:
    """Answers with something else."""
    return query


async def check(self: Any) -> str:
    """Fine."""
    return "fine"


def shut_at_once(self: Any, shut: Shut, call: Call) -> None:
    """Is not async."""


def declare(**members: Any) -> type[Connector[Any]]:
    """A connector with these members replaced; None takes one out. Functions are marked afresh each time."""
    right: dict[str, Any] = {
        "name": "wall",
        "title": "Wall",
        "docs": "https://docs.example",
        "check": check,
        "plan_shut": plan_shut,
        "undo_shut": undo_shut,
        "shut": (shut, Effect.CONTAIN, {"plan": "plan_shut", "undo": "undo_shut"}),
        "look": (look, Effect.READ, {}),
    }
    body = {
        name: _marked(member) for name, member in {**right, **members}.items() if member is not None
    }
    return _made("Brick", (Connector[ConnectorSettings], Wall), body)


def _made(name: str, bases: tuple[Any, ...], body: dict[str, Any]) -> type[Connector[Any]]:
    made: type[Connector[Any]] = types.new_class(
        name, bases, exec_body=lambda namespace: namespace.update(body)
    )
    return made


def _marked(member: Any) -> Any:
    if not isinstance(member, tuple):
        return member
    function, effect, options = member
    copy = type(function)(function.__code__, function.__globals__, function.__name__)
    copy.__annotations__, copy.__doc__ = function.__annotations__, function.__doc__
    return action(effect, **options)(copy)


PLANNED, BOTH = {"plan": "plan_shut"}, {"plan": "plan_shut", "undo": "undo_shut"}


def test_a_right_connector_is_taken() -> None:
    connector = declare()
    assert set(connector.bound) == {"shut", "look"}
    assert connector.bound["shut"].planned_change is Shut


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"title": None}, "no `title`"),
        ({"shut": (shut_without_docstring, Effect.CONTAIN, BOTH)}, "no docstring"),
        ({"shut": (shut, Effect.CONTAIN, {})}, "without a plan"),
        ({"shut": (shut, Effect.CONTAIN, PLANNED)}, "without an undo"),
        ({"shut": (shut_without_receipt, Effect.CONTAIN, BOTH)}, "does not take a planned_change"),
        ({"undo_shut": undo_other}, "takes Other, but must be annotated to: takes Shut"),
        ({"plan_shut": plan_other}, "returns Other, but must be annotated to: returns Shut"),
        ({"shut": (shut, Effect.RESTORE, BOTH)}, "declares restore, its capability contain"),
        ({"shut": (shut, Effect.CONTAIN, {**BOTH, "undo": "undo_shutt"})}, "names undo=undo_shutt"),
        (
            {"shut": (shut, Effect.CONTAIN, {**BOTH, "verify": "verify_shut"})},
            "names verify=verify_shut",
        ),
        ({"shut": (shut_at_once, Effect.CONTAIN, BOTH)}, "is not async"),
        ({"look": None}, "look is missing"),
        (
            {"look": (look_wrongly, Effect.READ, {})},
            "returns Wish, but must be annotated to: returns Answer",
        ),
        ({"look": (look, Effect.READ, PLANNED)}, "is a read with a plan"),
        (
            {"open_gate": (look, Effect.READ, {})},
            "open_gate is no action of its capability; actions there: look, shut",
        ),
        ({"unsupported": {"fly": "no wings"}}, "fly is listed in `unsupported`"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_rule_is_refused_with_the_mend(members: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words.replace("(", r"\(")):
        declare(**members)


def test_an_action_that_the_system_cannot_do_is_listed_with_its_reason() -> None:
    connector = declare(look=None, unsupported={"look": "it has no window"})
    assert set(connector.bound) == {"shut"}


def test_an_action_may_not_be_called_like_a_method_of_the_sdk() -> None:
    class Clash(Capability):
        """Clashes."""

        capability = "clash"
        usual_connection = "clash"
        actions = (
            ActionSpec(
                name="aclose", effect=Effect.READ, input=Wish, output=Answer, summary="Close."
            ),
        )

    with pytest.raises(TypeError, match="aclose has the name of a method of Connector"):
        _made(
            "Clashing",
            (Connector[ConnectorSettings], Clash),
            {"name": "c", "title": "C", "docs": "d", "aclose": look},
        )


def test_a_connector_without_settings_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Connector\[ItsSettings\]"):
        _made("Bare", (Connector,), {"name": "bare", "title": "Bare", "docs": "d"})
