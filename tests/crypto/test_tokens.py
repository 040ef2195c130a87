"""An API key is checked by its hash alone."""

from __future__ import annotations

import re

import pytest

from orchestrator.crypto.tokens import UNKNOWN, is_token_valid, new_token, token_id


def test_new_token_has_its_id_and_matches_its_hash() -> None:
    made = new_token()
    token = made.token.get_secret_value()
    assert re.fullmatch(r"tocsin_[0-9a-f]{16}_[0-9a-f]{64}", token)
    assert token_id(token) == made.id
    assert is_token_valid(token, made.hash)


def test_another_token_does_not_match() -> None:
    one, two = new_token(), new_token()
    assert not is_token_valid(one.token.get_secret_value(), two.hash)
    assert not is_token_valid(one.token.get_secret_value(), UNKNOWN)


def test_secret_under_another_id_does_not_match() -> None:
    made = new_token()
    moved = made.token.get_secret_value().replace(made.id, "0" * 16)
    assert token_id(moved) == "0" * 16
    assert not is_token_valid(moved, made.hash)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tocsin_",
        "Bearer x",
        "tocsin_abc_def",
        "é",
        "\ud800",
        "tocsin_" + "0" * 16 + "_" + "0" * 64 + "\n",
    ],
)
def test_text_that_is_not_a_token_has_no_id_and_matches_nothing(text: str) -> None:
    assert token_id(text) is None
    assert not is_token_valid(text, new_token().hash)


def test_hash_and_repr_do_not_show_the_secret() -> None:
    made = new_token()
    secret = made.token.get_secret_value().rpartition("_")[2]
    assert secret not in repr(made)
    assert secret not in made.hash
