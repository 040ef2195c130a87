"""Bundles: a version with its tests, files and signatures as one JSON file."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.intake.body import BodyRefused, parse_json
from orchestrator.registry.publish import load_version
from orchestrator.registry.statement import Signature, SignedStatement, tests_digest
from orchestrator.runtime import Runtime
from orchestrator.store.queries.records import signatures_of

MAX_BYTES = 8 * 1024 * 1024


class Bundle(Frozen):
    """A version as it travels from one environment to another."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "example": {
                "format": "tocsin-bundle/1",
                "name": "c2-beacon-containment",
                "version": 3,
                "digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
                "source": "playbook: c2-beacon-containment\nversion: 3\n...",
                "tests": "playbook: c2-beacon-containment\ncases: ...",
                "files": {},
                "signatures": [],
                "origin": "staging",
            }
        },
    )

    format: Literal["tocsin-bundle/1"] = "tocsin-bundle/1"
    name: str = Field(max_length=64)
    version: int = Field(ge=1, le=2**31 - 1)
    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the compiled plan.")
    source: str = Field(max_length=1_000_000)
    tests: str | None = Field(default=None, max_length=1_000_000)
    files: dict[str, str] = Field(
        default={}, max_length=500, description="That the tests name, in base64."
    )
    signatures: tuple[Signature, ...] = Field(default=(), max_length=50)
    origin: str = Field(default="", max_length=64, description="The environment it was made in.")

    @property
    def statement(self) -> SignedStatement:
        """The statement of its signatures; role and person are the author's and empty."""
        return SignedStatement(
            name=self.name,
            version=self.version,
            digest=self.digest,
            tests=tests_digest(self.tests, self.files),
            role="author",
            person="",
        )


async def make_bundle(rt: Runtime, name: str, version: int) -> Bundle:
    """Return a published version as a bundle. Raises NotFound."""
    async with rt.store.read() as session:
        row = await load_version(session, name, version)
        rows = await signatures_of(session, name, version)
    fields: dict[str, Any] = row.model_dump(
        include={"name", "version", "digest", "source", "tests", "files"}
    )
    signatures = tuple(
        Signature.model_validate(each.model_dump(include=set(Signature.model_fields)))
        for each in rows
    )
    return Bundle(**fields, signatures=signatures, origin=rt.settings.environment)


def read_bundle(content: bytes, file: str) -> Bundle:
    """Parse a bundle. Raises Invalid with what is wrong and where."""
    try:
        return Bundle.model_validate(parse_json(content, MAX_BYTES))
    except BodyRefused as refused:
        raise Invalid(
            f"{file}: not a bundle: {refused.reason}; create one with `tocsin playbook bundle`"
        ) from refused
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "bundle"
        raise Invalid(
            f"{file}: not a bundle: {place}: {first['msg']}; "
            "create one with `tocsin playbook bundle`"
        ) from None
