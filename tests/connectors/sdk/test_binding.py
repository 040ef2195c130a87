"""Binding refuses a connector that breaks a rule of the SDK, with the fix in the message."""

from __future__ import annotations

import types
from typing import Any

import pytest

from connectors.sdk.action import action
from connectors.sdk.call import ActionCall
from connectors.sdk.capability import ActionSpec, Capability, Input, Output
from connectors.sdk.connector import Connector
from connectors.sdk.settings import ConnectorSettings
from orchestrator.domain.change import Effect, PlannedChange


class ProbeInput(Input):
    """An input without fields."""


class ProbeOutput(Output):
    """An output without fields."""


class Shut(PlannedChange):
    """The planned change of the action."""


class Other(PlannedChange):
    """Another planned change."""


class ProbeCapability(Capability):
    """A capability with a change and a read."""

    capability = "probe"
    default_connection = "probe"
    actions = (
        ActionSpec(name="shut", effect=Effect.CONTAIN, input=ProbeInput, summary="Shut."),
        ActionSpec(
            name="look", effect=Effect.READ, input=ProbeInput, output=ProbeOutput, summary="Look."
        ),
    )


async def plan_shut(self: Any, inputs: ProbeInput, call: ActionCall) -> Shut:
    """Plan."""
    raise NotImplementedError


async def undo_shut(self: Any, shut: Shut, call: ActionCall) -> None:
    """Undo."""


async def shut(self: Any, shut: Shut, call: ActionCall) -> None:
    """Shut it."""


async def look(self: Any, query: ProbeInput, call: ActionCall) -> ProbeOutput:
    """Look at it."""
    return ProbeOutput()


async def undo_other(self: Any, shut: Other, call: ActionCall) -> None:
    """Undo something else."""


async def plan_other(self: Any, inputs: ProbeInput, call: ActionCall) -> Other:
    """Plan something else."""
    raise NotImplementedError


async def shut_without_docstring(self: Any, shut: Shut, call: ActionCall) -> None:
    pass


async def shut_without_planned_change(self: Any, inputs: ProbeInput, call: ActionCall) -> None:
    """Take no planned change."""


async def look_wrongly(self: Any, query: ProbeInput, call: ActionCall) -> ProbeInput:
    """Return something else."""
    return query


async def check(self: Any) -> str:
    """Test nothing."""
    return "fine"


def shut_at_once(self: Any, shut: Shut, call: ActionCall) -> None:
    """Shut it without `async`."""


def declare(**members: Any) -> type[Connector[Any]]:
    """Return a connector with these members replaced; None removes one."""
    valid: dict[str, Any] = {
        "name": "probe",
        "title": "Probe",
        "docs": "https://docs.example",
        "check": check,
        "plan_shut": plan_shut,
        "undo_shut": undo_shut,
        "shut": (shut, Effect.CONTAIN, {"plan": "plan_shut", "undo": "undo_shut"}),
        "look": (look, Effect.READ, {}),
    }
    body = {
        name: _mark(member) for name, member in {**valid, **members}.items() if member is not None
    }
    return _make_class("Probe", (Connector[ConnectorSettings], ProbeCapability), body)


def _make_class(name: str, bases: tuple[Any, ...], body: dict[str, Any]) -> type[Connector[Any]]:
    cls: type[Connector[Any]] = types.new_class(
        name, bases, exec_body=lambda namespace: namespace.update(body)
    )
    return cls


def _mark(member: Any) -> Any:
    if not isinstance(member, tuple):
        return member
    function, effect, options = member
    copy = type(function)(function.__code__, function.__globals__, function.__name__)
    copy.__annotations__, copy.__doc__ = function.__annotations__, function.__doc__
    return action(effect, **options)(copy)


PLANNED, BOTH = {"plan": "plan_shut"}, {"plan": "plan_shut", "undo": "undo_shut"}


def test_valid_connector_is_accepted() -> None:
    connector = declare()
    assert set(connector.bound) == {"shut", "look"}
    assert connector.bound["shut"].planned_change is Shut


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"title": None}, "no `title`"),
        ({"shut": (shut_without_docstring, Effect.CONTAIN, BOTH)}, "no docstring"),
        ({"shut": (shut, Effect.CONTAIN, {})}, "a change without a plan"),
        ({"shut": (shut, Effect.CONTAIN, PLANNED)}, "without an undo"),
        (
            {"shut": (shut_without_planned_change, Effect.CONTAIN, BOTH)},
            "does not take a planned change",
        ),
        ({"undo_shut": undo_other}, "takes Other, but must be annotated to: takes Shut"),
        ({"plan_shut": plan_other}, "returns Other, but must be annotated to: returns Shut"),
        ({"shut": (shut, Effect.RESTORE, BOTH)}, "declares restore, but its capability contain"),
        ({"shut": (shut, Effect.CONTAIN, {**BOTH, "undo": "undo_shutt"})}, "names undo=undo_shutt"),
        (
            {"shut": (shut, Effect.CONTAIN, {**BOTH, "verify": "verify_shut"})},
            "names verify=verify_shut",
        ),
        ({"shut": (shut_at_once, Effect.CONTAIN, BOTH)}, "is not async"),
        ({"look": None}, "look is missing"),
        (
            {"look": (look_wrongly, Effect.READ, {})},
            "returns ProbeInput, but must be annotated to: returns ProbeOutput",
        ),
        ({"look": (look, Effect.READ, PLANNED)}, "is a read with a plan"),
        (
            {"open_gate": (look, Effect.READ, {})},
            "open_gate is not an action of its capability; its actions: look, shut",
        ),
        ({"unsupported": {"fly": "no wings"}}, "fly is listed in `unsupported`"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_broken_rule_is_refused_with_the_fix(members: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words.replace("(", r"\(")):
        declare(**members)


def test_unsupported_action_is_listed_with_its_reason() -> None:
    connector = declare(look=None, unsupported={"look": "it has no window"})
    assert set(connector.bound) == {"shut"}


def test_action_must_not_have_the_name_of_an_sdk_method() -> None:
    class Clash(Capability):
        """A capability whose action has the name of an SDK method."""

        capability = "clash"
        default_connection = "clash"
        actions = (
            ActionSpec(
                name="aclose",
                effect=Effect.READ,
                input=ProbeInput,
                output=ProbeOutput,
                summary="Close.",
            ),
        )

    with pytest.raises(TypeError, match="aclose has the name of a method of Connector"):
        _make_class(
            "Clashing",
            (Connector[ConnectorSettings], Clash),
            {"name": "c", "title": "C", "docs": "d", "aclose": look},
        )


def test_connector_without_settings_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Connector\[ItsSettings\]"):
        _make_class("Bare", (Connector,), {"name": "bare", "title": "Bare", "docs": "d"})
