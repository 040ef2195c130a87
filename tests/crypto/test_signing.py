"""The audit key is created once and kept private; its public key suffices to verify."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from orchestrator.crypto.signing import (
    PublicKey,
    SigningKey,
    load_or_create_signing_key,
    load_public_key,
)
from orchestrator.domain.errors import Invalid


def test_first_start_creates_both_keys_and_the_next_reads_them(tmp_path: Path) -> None:
    key = load_or_create_signing_key(tmp_path / "audit.key")
    assert load_or_create_signing_key(tmp_path / "audit.key").public == key.public
    assert load_public_key(tmp_path / "audit.pub") == key.public
    assert stat.S_IMODE((tmp_path / "audit.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "audit.pub").stat().st_mode) == 0o644


def test_lost_public_key_is_restored(tmp_path: Path) -> None:
    key = load_or_create_signing_key(tmp_path / "audit.key")
    (tmp_path / "audit.pub").unlink()
    load_or_create_signing_key(tmp_path / "audit.key")
    assert load_public_key(tmp_path / "audit.pub") == key.public


def test_public_key_of_another_key_is_refused(tmp_path: Path) -> None:
    load_or_create_signing_key(tmp_path / "audit.key")
    (tmp_path / "audit.pub").write_bytes(SigningKey.new().public.pem)
    with pytest.raises(Invalid, match="is not the public key of"):
        load_or_create_signing_key(tmp_path / "audit.key")


def test_private_key_open_to_others_is_refused(tmp_path: Path) -> None:
    load_or_create_signing_key(tmp_path / "audit.key")
    (tmp_path / "audit.key").chmod(0o640)
    with pytest.raises(Invalid, match="chmod 600"):
        load_or_create_signing_key(tmp_path / "audit.key")


@pytest.mark.parametrize("content", [b"", b"junk", SigningKey.new().public.pem])
def test_invalid_private_key_is_refused_not_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "audit.key").write_bytes(content)
    (tmp_path / "audit.key").chmod(0o600)
    with pytest.raises(Invalid, match="not an Ed25519 private key"):
        load_or_create_signing_key(tmp_path / "audit.key")
    assert (tmp_path / "audit.key").read_bytes() == content


def test_signature_is_valid_for_its_message_and_key_only() -> None:
    key = SigningKey.new()
    signature = key.sign(b"message")
    assert key.public.verifies(signature, b"message")
    assert not key.public.verifies(signature, b"massage")
    assert not SigningKey.new().public.verifies(signature, b"message")


def test_signature_has_one_spelling() -> None:
    key = SigningKey.new()
    signature = key.sign(b"message")
    for other in (
        signature.upper(),
        " " + signature,
        signature + "\n",
        signature[:-2],
        "",
        "g" * 128,
    ):
        assert not key.public.verifies(other, b"message")


def test_public_key_is_read_from_pem_and_from_hex() -> None:
    public = SigningKey.new().public
    assert (
        PublicKey.parse(public.hex, "here")
        == PublicKey.parse(public.pem.decode(), "here")
        == public
    )
    assert len({public, PublicKey.parse(public.hex, "here")}) == 1


@pytest.mark.parametrize(
    "text", ["", "abc", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"]
)
def test_invalid_public_key_is_refused_with_the_place(text: str) -> None:
    with pytest.raises(Invalid, match="here: is not an Ed25519 public key"):
        PublicKey.parse(text, "here")


def test_missing_public_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"audit\.pub: cannot be read"):
        load_public_key(tmp_path / "audit.pub")


def test_signing_key_is_never_printed() -> None:
    key = SigningKey.new()
    assert repr(key) == f"SigningKey({key.id})"
    assert repr(key.public) == f"PublicKey({key.id})"
