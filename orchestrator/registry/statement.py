"""The statement that a signature under a playbook version is over, and its one byte form."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Literal

from orchestrator.crypto.signing import PublicKey, SigningKey
from orchestrator.domain.digest import canonical, digest
from orchestrator.domain.model import Frozen

Role = Literal["author", "reviewer"]


class SignedStatement(Frozen):
    """What a person signs about a playbook version."""

    name: str
    version: int
    digest: str
    """Of the compiled plan."""
    tests: str
    """Digest of the tests and their files, so that neither can be replaced under the signature."""
    role: Role
    person: str

    def message(self) -> bytes:
        """Return the bytes that are signed."""
        return b"tocsin:playbook-version:1\n" + canonical(self.model_dump(mode="json"))


class Signature(Frozen):
    """A signature over a statement, as it travels between environments."""

    role: Role
    person: str
    fingerprint: str
    signature: str


def sign(statement: SignedStatement, key: SigningKey) -> Signature:
    """Sign a statement with the key of its person."""
    return Signature(
        role=statement.role,
        person=statement.person,
        fingerprint=key.id,
        signature=key.sign(statement.message()),
    )


def is_signature_valid(statement: SignedStatement, signature: str, public_key: str) -> bool:
    """Return whether the signature is by this key (64 hex digits) and over this statement."""
    return PublicKey.parse(public_key, "the signing key").verifies(signature, statement.message())


def tests_digest(tests: str | None, files: Mapping[str, str]) -> str:
    """Return the SHA-256 over RFC 8785 JSON of the tests and their files (base64)."""
    return digest([tests, dict(files)])


def encode_files(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the files in base64, as they are stored and travel."""
    return {name: base64.b64encode(content).decode("ascii") for name, content in files.items()}
