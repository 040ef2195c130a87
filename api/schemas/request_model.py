"""The base of all request bodies, and the types that they share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Text = Annotated[str, StringConstraints(max_length=4000)]
Document = Annotated[
    str, Field(min_length=1, max_length=256 * 1024, description="The text of a YAML file.")
]
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]


class RequestModel(BaseModel):
    """A request body: an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def example(*examples: dict[str, Any]) -> ConfigDict:
    """Return the part of a model's configuration that shows examples in OpenAPI."""
    return ConfigDict(json_schema_extra={"examples": list(examples)})
