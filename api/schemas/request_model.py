"""What do all bodies share? Strict where a client writes, with an example everywhere."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Text = Annotated[str, StringConstraints(max_length=4000)]
Document = Annotated[
    str,
    Field(
        min_length=1, max_length=256 * 1024, description="The YAML text, as it stands in the file."
    ),
]
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]


class RequestModel(BaseModel):
    """What a client writes: an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def example(*examples: dict[str, Any]) -> ConfigDict:
    """The part of a model's configuration that shows it in OpenAPI."""
    return ConfigDict(json_schema_extra={"examples": list(examples)})
