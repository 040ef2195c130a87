"""As what does a version travel from one environment to another? One JSON file with all that vouches for it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from orchestrator.domain.errors import Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.intake.body import BodyRefused, parse_json
from orchestrator.registry.statement import Signature, Statement, tests_digest
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records
from orchestrator.store.queries.records import signatures_of
from orchestrator.store.tables import PlaybookRow

MAX_BYTES = 8 * 1024 * 1024


class Bundle(Frozen):
    """A version with its tests, their files (base64) and its signatures. `came_from`: the environment that it was made in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["tocsin-bundle/1"] = "tocsin-bundle/1"
    name: str = Field(max_length=64)
    version: int = Field(ge=1, le=2**31 - 1)
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    source: str = Field(max_length=1_000_000)
    tests: str | None = Field(default=None, max_length=1_000_000)
    files: dict[str, str] = Field(default={}, max_length=500)
    signatures: tuple[Signature, ...] = Field(default=(), max_length=50)
    came_from: str = Field(default="", max_length=64)

    @property
    def statement(self) -> Statement:
        """What its signatures are over, but for role and person."""
        tests = tests_digest(self.tests, self.files)
        return Statement(
            name=self.name,
            version=self.version,
            digest=self.digest,
            tests=tests,
            role="author",
            person="",
        )


async def bundled(rt: Runtime, name: str, version: int) -> Bundle:
    """A published version, ready to travel. Raises NotFound."""
    async with rt.store.read() as session:
        row = await records.one(session, PlaybookRow, (name, version))
        if row is None:
            raise NotFound(
                f"there is no playbook {name} version {version}; see `tocsin playbook list`"
            )
        rows = await signatures_of(session, name, version)
    told: dict[str, Any] = row.model_dump(
        include={"name", "version", "digest", "source", "tests", "files"}
    )
    given = tuple(
        Signature.model_validate(each.model_dump(include=set(Signature.model_fields)))
        for each in rows
    )
    return Bundle(**told, signatures=given, came_from=rt.settings.environment)


def read_bundle(content: bytes, file: str) -> Bundle:
    """Raises Invalid with what is wrong and where."""
    try:
        return Bundle.model_validate(parse_json(content, MAX_BYTES))
    except BodyRefused as refused:
        raise Invalid(
            f"{file}: is no bundle: {refused.reason}; make one with `tocsin playbook bundle`"
        ) from refused
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise Invalid(
            f"{file}: is no bundle: {place}: {first['msg']}; make one with `tocsin playbook bundle`"
        ) from None
