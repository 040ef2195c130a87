"""A ciphertext opens only unchanged, in its place, and with its key."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.crypto.box import Box, xaes_decrypt, xaes_encrypt
from orchestrator.crypto.keys import Key, KeyRing
from orchestrator.domain.errors import Invalid

OLD, NEW = Key("old", secrets.token_bytes(32)), Key("new", secrets.token_bytes(32))
BOX = Box(KeyRing([NEW, OLD]))
SEALED = BOX.seal(b"hunter2", b"connection:firewall:token")


@pytest.mark.parametrize(
    ("key", "associated", "ciphertext"),
    [
        (b"\x01" * 32, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
        (
            b"\x03" * 32,
            b"c2sp.org/XAES-256-GCM",
            "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
        ),
    ],
)
def test_cipher_matches_the_vectors_of_its_specification(
    key: bytes, associated: bytes, ciphertext: str
) -> None:
    nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX"
    assert xaes_encrypt(key, nonce, b"XAES-256-GCM", associated).hex() == ciphertext
    assert xaes_decrypt(key, nonce, bytes.fromhex(ciphertext), associated) == b"XAES-256-GCM"


@given(plaintext=st.binary(max_size=200), context=st.binary(max_size=40))
def test_sealed_text_opens(plaintext: bytes, context: bytes) -> None:
    assert BOX.open(BOX.seal(plaintext, context), context) == plaintext


@given(text=st.text())
def test_text_survives_a_round_trip(text: str) -> None:
    assert BOX.open_text(BOX.seal_text(text, b"c"), b"c") == text


@given(position=st.integers(0, len(SEALED) - 1), flip=st.integers(1, 255))
def test_any_altered_byte_is_refused(position: int, flip: int) -> None:
    altered = bytearray(SEALED)
    altered[position] ^= flip
    with pytest.raises(Invalid):
        BOX.open(bytes(altered), b"connection:firewall:token")


@given(length=st.integers(0, len(SEALED) - 1))
def test_any_cut_is_refused(length: int) -> None:
    with pytest.raises(Invalid):
        BOX.open(SEALED[:length], b"connection:firewall:token")


def test_ciphertext_moved_to_another_place_does_not_open() -> None:
    with pytest.raises(Invalid, match="altered or moved"):
        BOX.open(SEALED, b"connection:edr:token")


@pytest.mark.parametrize("context", [b"bc", b"c"])
def test_key_id_is_authenticated_apart_from_the_context(context: bytes) -> None:
    sealed = Box(KeyRing([Key("a", NEW.material)])).seal(b"x", b"bc")
    with pytest.raises(Invalid, match="altered or moved"):
        Box(KeyRing([Key("ab", NEW.material)])).open(sealed[:1] + b"\x02ab" + sealed[3:], context)


def test_two_seals_of_one_text_differ() -> None:
    assert BOX.seal(b"same", b"c") != BOX.seal(b"same", b"c")


def test_older_key_still_opens() -> None:
    sealed = Box(KeyRing([OLD])).seal(b"x", b"c")
    assert BOX.open(sealed, b"c") == b"x"


def test_missing_key_is_named() -> None:
    with pytest.raises(Invalid, match="key 'new', which is not in the key ring"):
        Box(KeyRing([OLD])).open(SEALED, b"connection:firewall:token")


def test_another_key_under_the_same_id_does_not_open() -> None:
    with pytest.raises(Invalid, match="another key took that id"):
        Box(KeyRing([Key("new", secrets.token_bytes(32))])).open(
            SEALED, b"connection:firewall:token"
        )


def test_purpose_does_not_open_what_another_sealed() -> None:
    ring = KeyRing([NEW])
    with pytest.raises(Invalid):
        Box(ring.derive("payloads")).open(Box(ring.derive("secrets")).seal(b"x", b"c"), b"c")


@pytest.mark.parametrize("text", ["", "plain secret", "é", "AAAA"])
def test_plaintext_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="never encrypted"):
        BOX.open_text(text, b"c")
