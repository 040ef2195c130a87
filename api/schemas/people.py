"""Request bodies about people."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.schemas.request_model import Name, RequestModel, example
from orchestrator.access.people import ProviderIdentity
from orchestrator.domain.access import PersonKind

Groups = Annotated[list[Name], Field(max_length=50)]
Identities = Annotated[
    list[ProviderIdentity],
    Field(max_length=10, description="As identity providers name the person."),
]


class AddPerson(RequestModel):
    """A person, or a service such as a SIEM, which approves nothing."""

    model_config = example(
        {"id": "ann", "name": "Ann Smith", "groups": ["soc-leads"]},
        {"id": "ci", "name": "Build server", "kind": "service"},
    )

    id: Annotated[
        str,
        Field(
            min_length=1,
            max_length=100,
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$",
            description="Kept in lower case: `Ann` and `ann` are one person.",
        ),
    ]
    name: Annotated[str, Field(max_length=100, description="Empty: as the id.")] = ""
    kind: PersonKind = PersonKind.PERSON
    groups: Groups = []
    identities: Identities = []


class ChangePerson(RequestModel):
    """What changes; a field that is left out stays."""

    model_config = example({"groups": ["soc-leads", "night-shift"]}, {"disabled": True})

    name: Annotated[str | None, Field(min_length=1, max_length=100)] = None
    groups: Groups | None = None
    identities: Identities | None = None
    disabled: bool | None = None
