"""What does it take to bring a version from one environment to another through the API?"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.request_model import Written, example
from orchestrator.registry.bundle import Bundle
from orchestrator.registry.sync import Wanted

_PERSON = Annotated[str, Field(min_length=1, max_length=100)]


class AddSigningKey(Written):
    """Believe a person's public key."""

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


class Sign(Written):
    """A signature that was made elsewhere, over the statement that GET .../signatures tells."""

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


class Promote(Written):
    """A bundle, as `tocsin playbook bundle` writes it. `check`: only say what stands against it."""

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
    check: bool = False


class RollBackTo(Written):
    """The version that is to take alerts again."""

    model_config = example({"to": 2})

    to: Annotated[int, Field(ge=1, le=2**31 - 1)]


class SetStage(Written):
    """Whether a version takes alerts, or runs dry beside the one that does."""

    model_config = example({"stage": "shadow"})

    stage: Literal["live", "shadow"]


class Retired(BaseModel):
    """Versions that were retired."""

    model_config = example({"retired": [3, 4]})

    retired: list[int]


class SyncWith(Wanted):
    """What a folder holds. `plan`: only say what would change."""

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

    plan: bool = False
