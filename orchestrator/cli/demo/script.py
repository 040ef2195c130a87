"""The demo's script, playbooks/demo.yaml: what is sent, and what is expected of it."""

from __future__ import annotations

from typing import Literal

from pydantic import TypeAdapter, ValidationError

import playbooks
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.intake.authenticate import Scheme
from orchestrator.playbook.language.yaml import load


class ScriptLine(Frozen):
    """One alert of the demo, and what is expected of it."""

    file: str
    """Under playbooks/."""
    source: str
    product: str
    auth: Scheme
    triggered: str | None = None
    """The playbook that it starts."""
    status: str | None = None
    """The status that the run ends in."""
    asked: bool = False
    answer: Literal["approve", "decline"] | None = None
    duplicate: bool = False
    refused: bool = False

    @property
    def body(self) -> bytes:
        """The bytes that the product sends."""
        folder, _, rest = self.file.partition("/")
        return playbooks.folder(folder).joinpath(rest).read_bytes()

    @property
    def short(self) -> str:
        """The file without the parts that all share."""
        return self.file.rpartition("/")[2].removesuffix(".json")


def load_script() -> list[ScriptLine]:
    """Return the lines in the order in which they are sent. Raise Invalid."""
    document = load(playbooks.demo().read_text("utf-8")).data
    try:
        adapter = TypeAdapter(dict[Literal["alerts"], list[ScriptLine]])
        return adapter.validate_python(document)["alerts"]
    except (ValidationError, KeyError) as error:
        raise Invalid(f"demo.yaml: {error}") from error
