"""What does it take to configure Tocsin through the API?"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, SecretStr, model_validator

from api.schemas.request_model import Document, Name, Text, Written, example
from orchestrator.access.keys import KeyView
from orchestrator.domain.access import Permission, Role
from orchestrator.domain.run import Mode
from orchestrator.intake.authenticate import Scheme, SchemeOptions
from orchestrator.intake.sources import SourceView

_YEAR_SECONDS = 366 * 24 * 3600
Secret = Annotated[SecretStr, Field(min_length=1, max_length=512)]


class AddSource(Written):
    """Let a product send alerts to /v1/alerts/{name}. Without a secret, one is made and shown once."""

    model_config = example(
        {"name": "edge-ids", "product": "suricata", "scheme": "standard_webhooks"},
        {
            "name": "siem",
            "product": "wazuh",
            "scheme": "header",
            "options": {"header": "x-siem-token"},
            "correlate_by": "host",
        },
    )

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    product: Annotated[str, Field(min_length=1, max_length=64)]
    scheme: Scheme
    secret: Secret | None = None
    options: SchemeOptions = SchemeOptions()
    mapping: Annotated[
        dict[str, Any] | None, Field(description="For the product `generic`: where its fields lie.")
    ] = None
    correlate_by: Literal["host", "user", "remote", "rule", "none"] = "host"
    correlate_within: Annotated[int, Field(ge=0, le=_YEAR_SECONDS, description="Seconds.")] = 3600
    mode: Annotated[
        Mode,
        Field(
            description="dry_run: its alerts start runs that only look, and say what they would do."
        ),
    ] = Mode.LIVE


class AddedSource(SourceView):
    """The source, and its secret where it was made here: shown only now."""

    model_config = example(
        {
            "name": "edge-ids",
            "product": "suricata",
            "scheme": "standard_webhooks",
            "options": {"header": "x-tocsin-token"},
            "mapping": None,
            "correlate_by": "host",
            "correlate_within": 3600,
            "created_at": "2026-01-01T12:00:00Z",
            "secret": "whsec_...",
        }
    )

    secret: str | None


class SaveConnection(Written):
    """Bind a name that playbooks use to a connector. Secrets among the settings are kept encrypted, and never shown again."""

    model_config = example(
        {
            "connector": "palo_alto",
            "settings": {"base_url": "https://firewall.example", "api_key": "..."},
            "check": True,
        }
    )

    connector: Name
    settings: dict[str, Any]
    check: Annotated[bool, Field(description="Try the credential before anything is saved.")] = True


class Checked(BaseModel):
    """What trying a credential came to."""

    model_config = example({"name": "firewall", "found": "the API key works; PAN-OS 11.1"})

    name: str
    found: str


class CreateKey(Written):
    """A key for a person. It can't hold more than the key it is made with."""

    model_config = example(
        {
            "person": "ann",
            "roles": ["analyst", "approver"],
            "groups": ["soc-leads"],
            "expires_in": 2592000,
        }
    )

    person: Annotated[
        str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$")
    ]
    roles: Annotated[list[Role], Field(min_length=1, max_length=5)]
    groups: Annotated[list[Name], Field(max_length=50)] = []
    scopes: Annotated[
        list[Permission] | None,
        Field(max_length=20, description="Narrows the roles to these; null: no narrower."),
    ] = None
    expires_in: Annotated[
        int | None,
        Field(ge=60, le=10 * _YEAR_SECONDS, description="Seconds; null: it does not expire."),
    ] = None


class CreatedKey(KeyView):
    """The key, and its token: shown only now."""

    model_config = example(
        {
            "id": "0123456789abcdef",
            "person": "ann",
            "roles": ["analyst"],
            "groups": [],
            "scopes": None,
            "created_by": "person:admin",
            "created_at": "2026-01-01T12:00:00Z",
            "expires_at": None,
            "revoked_at": None,
            "token": "tocsin_0123456789abcdef_...",
        }
    )

    token: str


class PublishPolicy(Written):
    """Put a policy in force, for every change from now on."""

    model_config = example(
        {
            "text": "protect:\n  networks: [10.0.0.0/24]\nrules:\n  - {tags: executive, approve: {by: leads}}\n"
        }
    )

    text: Document


class Engage(Written):
    """Stop changes at once: all, of one connection, playbook or source. Releases go on, unless `stop_releases` is given."""

    model_config = example(
        {"scope": "source", "name": "edge-ids", "reason": "the sensors are being spoofed"},
        {"scope": "connection", "name": "firewall", "reason": "maintenance", "stop_releases": True},
    )

    scope: Literal["global", "connection", "playbook", "source"]
    name: Annotated[
        Name,
        Field(
            description="The connection (or its connector), playbook or source; `*` for the global one."
        ),
    ] = "*"
    reason: Annotated[Text, Field(min_length=1)]
    stop_releases: Annotated[
        bool, Field(description="Whether nothing is lifted either, until the switch is off.")
    ] = False


class PlaybookText(Written):
    """A playbook as its author wrote it."""

    model_config = example({"text": "playbook: block-address\nversion: 1\n..."})

    text: Document
    file: Annotated[
        str, Field(min_length=1, max_length=200, description="How messages call it.")
    ] = "playbook.yaml"


class PublishedText(PlaybookText):
    """A playbook with what lies beside it. `stage` shadow: it runs dry beside the live version."""

    tests: Annotated[
        Document | None, Field(description="Its tests.yaml. What is signed and promoted are both.")
    ] = None
    files: Annotated[
        dict[str, str],
        Field(max_length=500, description="What the tests name, by relative name, in base64."),
    ] = {}
    stage: Literal["live", "shadow"] = "live"

    @model_validator(mode="after")
    def _files_of_tests(self) -> Self:
        if self.files and self.tests is None:
            raise ValueError("`files` are those that `tests` name; send the tests along")
        return self


class CheckedPlaybook(BaseModel):
    """The playbook is good."""

    model_config = example(
        {
            "playbook": "block-address",
            "version": 1,
            "title": "Block an address",
            "digest": "6f1c0f2b",
            "positions": {"block": [8, 5]},
        }
    )

    playbook: str
    version: int
    title: str
    digest: str
    positions: Annotated[
        dict[str, tuple[int, int]], Field(description="Line and column of each step.")
    ]


MOST_ASSETS = 10_000
"""In one request; a larger inventory comes in parts, or from the command line."""


class Imported(BaseModel):
    """How many."""

    model_config = example({"imported": 1})

    imported: int
