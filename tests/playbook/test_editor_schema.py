"""The JSON Schema for editors: agrees with the compiler, completes actions, describes every field."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.playbook.language.yaml import load
from orchestrator.playbook.schema.editor import json_schema
from tests.harness.playbook_texts import CATALOGUE, with_steps
from tests.playbook.test_bad_playbooks import STEPS
from tests.playbook.test_constructs import CALLED, DESIGN

SCHEMA = json_schema(CATALOGUE)


@pytest.fixture(scope="module")
def validator() -> Any:
    import jsonschema  # takes seconds, which collection need not wait for

    return jsonschema.Draft202012Validator(SCHEMA)


def test_schema_is_valid_json_schema(validator: Any) -> None:
    validator.check_schema(SCHEMA)


@pytest.mark.parametrize("text", [DESIGN, CALLED])
def test_good_playbooks_pass(validator: Any, text: str) -> None:
    validator.validate(load(text).data)


@pytest.mark.parametrize(
    "name",
    [
        "use: unknown action",
        "with: unknown input",
        "with: missing input",
        "with: not in the enumeration",
        "with: literal of another type",
        "step: of no kind",
        "step: of two kinds",
        "step: unknown key",
        "when: empty",
        "approve: empty",
        "for: not a duration",
        "for_each: without at_most",
        "repeat: without at_most",
        "wait: not a duration",
        "wait: without within",
        "ask: unknown type",
        "call: not pinned",
        "on_error: unknown word",
        "id: malformed",
    ],
)
def test_error_of_form_is_found_by_the_editor(validator: Any, name: str) -> None:
    assert not validator.is_valid(load(with_steps(STEPS[name].text)).data)


def test_use_completes_to_every_action_with_its_summary() -> None:
    options = SCHEMA["$defs"]["UseStep"]["properties"]["use"]["oneOf"]
    assert {option["const"]: option["description"] for option in options} == {
        name: action.summary for name, action in CATALOGUE.actions.items()
    }


def test_expression_is_accepted_for_every_value(validator: Any) -> None:
    data = copy.deepcopy(load(DESIGN).data)
    data["steps"][2]["with"] = {
        "title": "${{ alert.title }}",
        "priority": "${{ alert.severity_name }}",
        "labels": "${{ alert.techniques }}",
    }
    validator.validate(data)


def test_every_field_is_described() -> None:
    models = [SCHEMA, *SCHEMA["$defs"].values()]
    assert [
        name
        for model in models
        for name, field in model["properties"].items()
        if not field.get("description")
    ] == []
    assert [name for name, model in SCHEMA["$defs"].items() if not model.get("description")] == []


def test_every_reference_has_a_definition() -> None:
    assert {reference.rpartition("/")[2] for reference in _references(SCHEMA)} <= SCHEMA[
        "$defs"
    ].keys()


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for part in schema.values():
            yield from _references(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _references(part)
