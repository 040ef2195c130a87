"""Request bodies of promotion."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from api.schemas.request_model import RequestModel, example
from orchestrator.registry.bundle import Bundle
from orchestrator.registry.sync import FolderContent

_PERSON = Annotated[str, Field(min_length=1, max_length=100)]


class AddSigningKey(RequestModel):
    """A person's public key to trust."""

    model_config = example(
        {
            "person": "a.author",
            "public_key": "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
        }
    )

    person: _PERSON
    public_key: Annotated[
        str, Field(min_length=1, max_length=1000, description="PEM, or 64 hex digits.")
    ]


class Sign(RequestModel):
    """A signature over the digests that `GET .../signatures` returns."""

    model_config = example(
        {
            "role": "reviewer",
            "person": "b.reviewer",
            "fingerprint": "0123456789abcdef",
            "signature": "00" * 64,
        }
    )

    role: Literal["author", "reviewer"]
    person: _PERSON
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


class Promote(RequestModel):
    """A bundle, as `tocsin playbook bundle` writes it."""

    model_config = example(
        {
            "bundle": {
                "format": "tocsin-bundle/1",
                "name": "block-address",
                "version": 1,
                "digest": "0" * 64,
                "source": "playbook: ...",
            }
        }
    )

    bundle: Bundle
    stage: Literal["live", "shadow"] = "live"
    check: Annotated[bool, Field(description="Only check the bundle.")] = False


class RollBackTo(RequestModel):
    """The version that takes alerts again."""

    model_config = example({"to": 2})

    to: Annotated[int, Field(ge=1, le=2**31 - 1)]


class SetStage(RequestModel):
    """Whether a version takes alerts, or runs dry next to the one that does."""

    model_config = example({"stage": "shadow"})

    stage: Literal["live", "shadow"]


class SyncWith(FolderContent):
    """The content of a folder."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "environment": "staging",
                    "playbooks": [{"file": "say/playbook.yaml", "text": "playbook: say\n..."}],
                    "plan": True,
                }
            ]
        },
    )

    plan: Annotated[bool, Field(description="Only plan what would change.")] = False
