"""Declared inputs: the values that a run accepts when it is started by hand or by `call`."""

import pytest

from orchestrator.domain.errors import Invalid
from orchestrator.domain.observable import ObservableType
from orchestrator.playbook.compile.inputs import accept_inputs, input_schema, inputs_schema
from orchestrator.playbook.plan import InputField

FIELDS = {
    "address": InputField(type="address"),
    "note": InputField(type="text", required=False),
    "hours": InputField(type="integer", default=24),
}


def test_missing_inputs_become_defaults_or_null() -> None:
    assert accept_inputs(FIELDS, {"address": "198.51.100.7"}) == {
        "address": "198.51.100.7",
        "note": None,
        "hours": 24,
    }


def test_observables_become_canonical() -> None:
    assert accept_inputs(FIELDS, {"address": "::ffff:198.51.100.7"})["address"] == "198.51.100.7"


def test_an_expression_in_an_input_is_text() -> None:
    assert (
        accept_inputs(FIELDS, {"address": "198.51.100.7", "note": "${{ alert.title }}"})["note"]
        == "${{ alert.title }}"
    )


def test_an_expression_does_not_stand_for_an_address() -> None:
    with pytest.raises(Invalid):
        accept_inputs(FIELDS, {"address": "${{ alert.remote.address }}"})


def test_every_mismatch_is_reported() -> None:
    with pytest.raises(Invalid) as caught:
        accept_inputs(FIELDS, {"adress": "198.51.100.7", "hours": "1", "note": None})
    assert str(caught.value).splitlines() == [
        "unknown input 'adress'; did you mean 'address'?",
        "input 'hours' must be a whole number",
    ]


def test_missing_input_is_reported() -> None:
    with pytest.raises(Invalid, match="input 'address' is missing; add it"):
        accept_inputs(FIELDS, {})


def test_the_schema_of_inputs_is_closed() -> None:
    schema = inputs_schema(FIELDS)
    assert schema["required"] == ["address"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["address"] == {"type": "string", "x-observable": "address"}


@pytest.mark.parametrize("kind", list(ObservableType))
def test_every_observable_is_a_type_of_input(kind: ObservableType) -> None:
    field = InputField(type=kind.value)
    assert input_schema(field)["x-observable"] == kind.value


def test_a_network_becomes_canonical() -> None:
    fields = {"net": InputField(type="network")}
    assert accept_inputs(fields, {"net": "198.51.100.7/24"}) == {"net": "198.51.100.0/24"}
    with pytest.raises(Invalid, match="input 'net' is not a valid network"):
        accept_inputs(fields, {"net": "everything"})
