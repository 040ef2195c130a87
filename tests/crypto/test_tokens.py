"""An API key is checked by its hash alone."""

from __future__ import annotations

import re

import pytest

from orchestrator.crypto.tokens import UNKNOWN, check, new_token, token_id


def test_a_new_token_carries_its_id_and_fits_its_hash() -> None:
    made = new_token()
    token = made.token.get_secret_value()
    assert re.fullmatch(r"tocsin_[0-9a-f]{16}_[0-9a-f]{64}", token)
    assert token_id(token) == made.id
    assert check(token, made.hash)


def test_another_token_does_not_fit() -> None:
    one, two = new_token(), new_token()
    assert not check(one.token.get_secret_value(), two.hash)
    assert not check(one.token.get_secret_value(), UNKNOWN)


def test_the_secret_under_another_id_does_not_fit() -> None:
    made = new_token()
    moved = made.token.get_secret_value().replace(made.id, "0" * 16)
    assert token_id(moved) == "0" * 16
    assert not check(moved, made.hash)


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
def test_what_is_no_token_has_no_id_and_fits_nothing(text: str) -> None:
    assert token_id(text) is None
    assert not check(text, new_token().hash)


def test_neither_the_hash_nor_the_print_shows_the_secret() -> None:
    made = new_token()
    secret = made.token.get_secret_value().rpartition("_")[2]
    assert secret not in repr(made)
    assert secret not in made.hash
