"""Texts for people are shortened to what vendors take; identifiers never are."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.capabilities import CAPABILITIES
from connectors.capabilities.messaging import PostMessage
from connectors.capabilities.ticketing import CommentTicket, OpenTicket, TicketKey
from connectors.sdk.capability import DisplayText, shorten


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@given(text=st.text(), limit=st.integers(1, 40))
def test_shortened_text_fits_and_is_a_beginning(text: str, limit: int) -> None:
    found = shorten(text, limit)
    assert _units(found) <= limit
    assert found == text or (found.endswith("…") and text.startswith(found[:-1]))
    assert (found == text) is (_units(text) <= limit)


def test_shortened_text_is_not_cut_more_than_needed() -> None:
    assert shorten("a" * 300, 250) == "a" * 249 + "…"
    assert shorten("\U0001f600" * 200, 250) == "\U0001f600" * 124 + "…"


def test_title_is_shortened_and_the_whole_goes_into_the_description() -> None:
    ticket = OpenTicket.model_validate({"title": "A" * 300, "description": "what happened"})
    assert ticket.title == "A" * 249 + "…"
    assert ticket.description == "A" * 300 + "\n\nwhat happened"


def test_description_that_holds_the_whole_title_stays() -> None:
    ticket = OpenTicket.model_validate({"title": "A" * 300, "description": "See: " + "A" * 300})
    assert ticket.description == "See: " + "A" * 300
    assert OpenTicket.model_validate({"title": "A" * 300}).description == "A" * 300


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (CommentTicket, {"key": "SOC-1", "text": "A" * 40_000}),
        (PostMessage, {"channel": "soc", "text": "A" * 40_000}),
        (OpenTicket, {"title": "t", "description": "A" * 40_000}),
    ],
)
def test_message_is_shortened(model: Any, data: dict[str, Any]) -> None:
    shown = model.model_validate(data)
    name = "description" if model is OpenTicket else "text"
    assert getattr(shown, name).endswith("A…")


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (CommentTicket, {"key": "K" * 101, "text": "x"}),
        (TicketKey, {"key": "K" * 101}),
        (PostMessage, {"channel": "c" * 81, "text": "x"}),
    ],
)
def test_identifier_is_never_shortened(model: Any, data: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="at most"):
        model.model_validate(data)


def test_each_mark_has_the_limit_of_its_field_and_the_schema_says_so() -> None:
    for capability in CAPABILITIES:
        for spec in capability.actions:
            schema = spec.input.model_json_schema()["properties"]
            for name, field in spec.input.model_fields.items():
                marks = [mark for mark in field.metadata if isinstance(mark, DisplayText)]
                assert schema[name].get("x-shortened", False) is bool(marks)
                assert all(mark.limit == schema[name]["maxLength"] for mark in marks)
