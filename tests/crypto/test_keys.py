"""Keys are read from one place, differ per purpose, and can be rotated."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path

import pytest
from pydantic import SecretStr

from orchestrator.crypto.keys import (
    KEY_BYTES,
    Key,
    KeyRing,
    derive,
    load_or_create_ring,
)
from orchestrator.domain.errors import Invalid


def _text() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def test_first_start_creates_a_key_and_the_next_reads_it(tmp_path: Path) -> None:
    first = load_or_create_ring(tmp_path / "secret.key").newest.material
    assert len(first) == KEY_BYTES
    assert load_or_create_ring(tmp_path / "secret.key").newest.material == first


def test_environment_has_precedence_and_creates_no_file(tmp_path: Path) -> None:
    text = _text()
    assert load_or_create_ring(
        tmp_path / "secret.key", SecretStr(text)
    ).newest.material == base64.b64decode(text)
    assert not (tmp_path / "secret.key").exists()


def test_empty_environment_value_counts_as_none(tmp_path: Path) -> None:
    load_or_create_ring(tmp_path / "secret.key", SecretStr(" "))
    assert (tmp_path / "secret.key").exists()


def test_file_open_to_others_is_refused(tmp_path: Path) -> None:
    load_or_create_ring(tmp_path / "secret.key")
    (tmp_path / "secret.key").chmod(0o644)
    with pytest.raises(Invalid, match="chmod 600"):
        load_or_create_ring(tmp_path / "secret.key")


def test_first_listed_key_is_the_newest(tmp_path: Path) -> None:
    ring = load_or_create_ring(tmp_path / "none", SecretStr(f"2026-b:{_text()}, 2025-a:{_text()}"))
    assert (ring.newest.id, ring.ids) == ("2026-b", ("2026-b", "2025-a"))
    assert ring.get("2025-a") is not None
    assert ring.get("2024") is None


def test_key_without_id_has_a_stable_id_that_reveals_nothing(tmp_path: Path) -> None:
    one = load_or_create_ring(tmp_path / "secret.key").newest
    assert one.id == load_or_create_ring(tmp_path / "secret.key").newest.id
    assert one.id not in one.material.hex()


def test_file_may_hold_one_key_per_line(tmp_path: Path) -> None:
    (tmp_path / "k").write_text(f"new:{_text()}\nold:{_text()}\n")
    (tmp_path / "k").chmod(0o600)
    assert load_or_create_ring(tmp_path / "k").ids == ("new", "old")


def test_each_purpose_has_its_own_key() -> None:
    master = secrets.token_bytes(32)
    assert (
        len({master, derive(master, "secrets"), derive(master, "payloads"), derive(master, "id")})
        == 4
    )
    ring = KeyRing([Key("a", master)])
    assert ring.derive("secrets").newest == Key("a", derive(master, "secrets"))


def test_derived_key_stays_the_same_across_versions() -> None:
    assert (
        derive(bytes(range(32)), "secrets").hex()
        == "8219339892aeee55bf6d0735d28de2d48da51a3cd5434d638553a88e97a76dd4"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not base64!", "key 1: is not base64"),
        ("YWJj", "key 1: is 3 bytes long, not 32"),
        (base64.b64encode(bytes(32)).decode(), "one byte repeated"),
        ("a b:" + _text(), "its id may have"),
        (f"a:{_text()},a:{_text()}", "a key id occurs twice"),
        ("a:{0},b:{0}".format(_text()), "one key has two ids"),
        (",", "holds no key"),
    ],
    ids=["no base64", "too short", "one byte", "no id", "an id twice", "a key twice", "nothing"],
)
def test_invalid_key_is_refused_with_the_place_and_without_the_text(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(Invalid, match=says) as caught:
        load_or_create_ring(tmp_path / "none", SecretStr(text))
    assert str(caught.value).startswith("the key in the environment")
    assert text.rpartition(":")[2] not in str(caught.value) or text == ","


def test_empty_key_file_is_refused_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "k").touch(0o600)
    with pytest.raises(Invalid, match="holds no key"):
        load_or_create_ring(tmp_path / "k")
    assert (tmp_path / "k").read_bytes() == b""


def test_keys_are_never_printed() -> None:
    key = Key("a", secrets.token_bytes(32))
    for text in (repr(key), repr(KeyRing([key]))):
        assert key.material.hex() not in text
        assert "material" not in text
