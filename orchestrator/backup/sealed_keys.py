"""The keys of an installation in a backup: encrypted under a passphrase, or not there at all."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import ConfigDict, SecretStr, ValidationError

from orchestrator.crypto.private_file import create_private
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen

MIN_PASSPHRASE = 16
"""Characters."""

_CONTEXT = b"tocsin:backup:keys:1"
_SALT = 16
_NONCE = 12
_COST = 2**17
"""Of scrypt: 128 MiB, and about half a second."""


class Keys(Frozen):
    """The text of both key files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encryption_key: SecretStr
    audit_key: SecretStr


def seal_keys(path: Path, keys: Keys, passphrase: SecretStr) -> None:
    """Write the keys under a passphrase. Raise Invalid for a short one."""
    if len(passphrase.get_secret_value()) < MIN_PASSPHRASE:
        raise Invalid(
            f"the passphrase needs at least {MIN_PASSPHRASE} characters, as it protects every "
            "credential: openssl rand -base64 24"
        )
    content = json.dumps(
        {
            "encryption_key": keys.encryption_key.get_secret_value(),
            "audit_key": keys.audit_key.get_secret_value(),
        }
    )
    salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
    sealed = AESGCM(_derive(passphrase, salt)).encrypt(nonce, content.encode(), _CONTEXT)
    create_private(path, salt + nonce + sealed)


def open_keys(path: Path, passphrase: SecretStr) -> Keys:
    """Return the keys of a backup. Raise Invalid for another passphrase or a damaged file."""
    try:
        content = path.read_bytes()
        salt, nonce, sealed = (
            content[:_SALT],
            content[_SALT : _SALT + _NONCE],
            content[_SALT + _NONCE :],
        )
        opened = AESGCM(_derive(passphrase, salt)).decrypt(nonce, sealed, _CONTEXT)
        return Keys.model_validate_json(opened)
    except OSError as error:
        raise Invalid(f"{path}: cannot be read ({error.strerror}); it has no keys") from error
    except (InvalidTag, ValueError, ValidationError):
        raise Invalid(f"{path}: the passphrase is another one, or the file is damaged") from None


def _derive(passphrase: SecretStr, salt: bytes) -> bytes:
    key = Scrypt(salt=salt, length=32, n=_COST, r=8, p=1)
    return key.derive(passphrase.get_secret_value().encode())
