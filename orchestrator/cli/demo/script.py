"""What does the demo send, and what has to come of it? Read from playbooks/demo.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import TypeAdapter, ValidationError

import playbooks
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.intake.authenticate import Scheme
from orchestrator.playbook.language.yaml import load


class Line(Frozen):
    """One alert: the file under playbooks/, how its source is configured, and what is expected."""

    file: str
    source: str
    product: str
    auth: Scheme
    triggered: str | None = None
    status: str | None = None
    asked: bool = False
    answer: Literal["approve", "decline"] | None = None
    duplicate: bool = False
    refused: bool = False

    @property
    def body(self) -> bytes:
        """What the product sends, byte for byte."""
        folder, _, rest = self.file.partition("/")
        return playbooks.folder(folder).joinpath(rest).read_bytes()

    @property
    def short(self) -> str:
        """For a person: the file without what they all share."""
        return self.file.rpartition("/")[2].removesuffix(".json")


def script() -> list[Line]:
    """The lines in the order in which they are sent. Raises Invalid."""
    place = playbooks.demo()
    document = load(place.read_text("utf-8")).data
    try:
        return TypeAdapter(dict[Literal["alerts"], list[Line]]).validate_python(document)["alerts"]
    except (ValidationError, KeyError) as error:
        message = f"demo.yaml: {error}"
        raise Invalid(message) from error
