"""Declared inputs: what a run that is started by hand or by `call` accepts."""

import pytest

from orchestrator.domain.errors import Invalid
from orchestrator.playbook.compile.inputs import accept, schema_of
from orchestrator.playbook.plan import InputField

FIELDS = {
    "address": InputField(type="address"),
    "note": InputField(type="text", required=False),
    "hours": InputField(type="integer", default=24),
}


def test_defaults_and_null_fill_what_is_not_given() -> None:
    assert accept(FIELDS, {"address": "198.51.100.7"}) == {
        "address": "198.51.100.7",
        "note": None,
        "hours": 24,
    }


def test_observables_get_their_canonical_spelling() -> None:
    assert accept(FIELDS, {"address": "::ffff:198.51.100.7"})["address"] == "198.51.100.7"


def test_an_expression_in_an_input_is_text() -> None:
    assert (
        accept(FIELDS, {"address": "198.51.100.7", "note": "${{ alert.title }}"})["note"]
        == "${{ alert.title }}"
    )


def test_an_expression_does_not_stand_for_an_address() -> None:
    with pytest.raises(Invalid):
        accept(FIELDS, {"address": "${{ alert.remote.address }}"})


def test_all_that_does_not_fit_is_told() -> None:
    with pytest.raises(Invalid) as caught:
        accept(FIELDS, {"adress": "198.51.100.7", "hours": "1", "note": None})
    assert str(caught.value).splitlines() == [
        "unknown input 'adress'; did you mean 'address'?",
        "input 'hours' is not a whole number",
    ]


def test_a_missing_input_is_told() -> None:
    with pytest.raises(Invalid, match="input 'address' is missing; add it"):
        accept(FIELDS, {})


def test_the_schema_of_inputs_is_closed() -> None:
    schema = schema_of(FIELDS)
    assert schema["required"] == ["address"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["address"] == {"type": "string", "x-observable": "address"}
