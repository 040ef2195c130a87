"""What does a signature under a playbook version say? One statement, as bytes, that can be meant in no other way."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Literal

from orchestrator.crypto.signing import PublicKey, SigningKey
from orchestrator.domain.digest import canonical, digest
from orchestrator.domain.model import Frozen

Role = Literal["author", "reviewer"]


class Statement(Frozen):
    """`digest`: of the compiled plan; `tests`: of the tests and their files, so that neither is changed under the signature."""

    name: str
    version: int
    digest: str
    tests: str
    role: Role
    person: str

    def message(self) -> bytes:
        """What is signed."""
        return b"tocsin:playbook-version:1\n" + canonical(self.model_dump(mode="json"))


class Signature(Frozen):
    """A statement's signature as it travels: who, as what, with which key."""

    role: Role
    person: str
    fingerprint: str
    signature: str


def sign(statement: Statement, key: SigningKey) -> Signature:
    """The signature of the key's owner, who is the statement's person."""
    return Signature(
        role=statement.role,
        person=statement.person,
        fingerprint=key.id,
        signature=key.sign(statement.message()),
    )


def holds(statement: Statement, signature: str, public_key: str) -> bool:
    """Whether the signature is this key's (64 hex digits) over exactly this statement."""
    return PublicKey.parse(public_key, "the signing key").verifies(signature, statement.message())


def tests_digest(tests: str | None, files: Mapping[str, str]) -> str:
    """SHA-256 over RFC 8785 JSON of the tests and their files (base64)."""
    return digest([tests, dict(files)])


def encoded(files: Mapping[str, bytes]) -> dict[str, str]:
    """Files as they are kept and travel."""
    return {name: base64.b64encode(content).decode("ascii") for name, content in files.items()}
