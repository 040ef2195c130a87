"""Options: values on the command line have the type that the API takes."""

from __future__ import annotations

import pytest

from orchestrator.cli.options import parse_inputs
from orchestrator.domain.errors import Invalid


def test_input_is_a_text_or_json() -> None:
    given = ["account=true", "reset:=true", 'hosts:=["a", "b"]', "note=a=b", "empty="]
    assert parse_inputs(given) == {
        "account": "true",
        "reset": True,
        "hosts": ["a", "b"],
        "note": "a=b",
        "empty": "",
    }


def test_input_that_is_not_json_says_how_to_write_a_text() -> None:
    with pytest.raises(Invalid, match="for a text, write name=value"):
        parse_inputs(["reset:=yes"])
