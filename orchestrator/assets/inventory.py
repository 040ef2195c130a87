"""The inventory of hosts, users and networks, imported as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.assets.facts import canonical_tag
from orchestrator.assets.match import other_names, short_name
from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import CANONICAL, ObservableType
from orchestrator.playbook.problems import did_you_mean
from orchestrator.runtime import Runtime
from orchestrator.store.precondition import ANY_STATE, Precondition
from orchestrator.store.queries import policy_inputs, records
from orchestrator.store.search import configuration
from orchestrator.store.search.filters import AssetFilter
from orchestrator.store.tables import AssetRow

Kind = Literal[
    "unknown",
    "workstation",
    "laptop",
    "phone",
    "server",
    "domain_controller",
    "dns_resolver",
    "gateway",
    "firewall",
    "network_device",
    "load_balancer",
    "virtual_machine",
    "container",
    "printer",
    "iot",
    "ot",
    "person",
    "administrator",
    "service_account",
    "mailbox",
    "network",
]
Tag = Annotated[
    str,
    AfterValidator(canonical_tag),
    Field(min_length=1, max_length=64, pattern=r"^[\w .:/@+-]*\w[\w .:/@+-]*$"),
]
_MAX_PROBLEMS = 20
EVERY_ASSET = AssetFilter()


MAX_NAMES = 100
"""The most other names of one asset."""

EXAMPLE: dict[str, Any] = {
    "type": "host",
    "value": "dc-1",
    "kind": "domain_controller",
    "critical": True,
    "tags": ["tier-0"],
    "also": ["dc-1.corp.example", "10.10.0.10"],
}


class Asset(Frozen):
    """A host, user or network of the organization. A network's tags apply to its addresses."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    type: ObservableType
    value: Annotated[str, Field(min_length=1, max_length=4096)]
    kind: Kind = "unknown"
    critical: bool = False
    tags: Annotated[tuple[Tag, ...], Field(max_length=50)] = ()
    also: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=255)], ...],
        Field(
            max_length=MAX_NAMES,
            description="Its other names: addresses, full names, device ids. By any of them it is "
            "this asset.",
        ),
    ] = ()


class ImportResult(Frozen):
    """How many assets were imported."""

    model_config = ConfigDict(json_schema_extra={"example": {"imported": 1}})

    imported: int


async def import_assets(rt: Runtime, rows: Iterable[Mapping[str, Any]], *, actor: str) -> int:
    """Add or replace assets. Return how many.

    Raise Invalid, which names the wrong rows; then nothing was imported.
    """
    return await import_numbered(
        rt, [(f"asset {number}", row) for number, row in enumerate(rows, 1)], actor=actor
    )


async def import_numbered(
    rt: Runtime, rows: Sequence[tuple[str, Mapping[str, Any]]], *, actor: str
) -> int:
    """Import rows that come with their places, such as `line 14`. See `import_assets`."""
    found = _parsed(rows)
    async with rt.store.write() as session:
        await policy_inputs.upsert_assets(session, [_row(asset) for asset in found], short_name)
        data = {"count": len(found)}
        await trail.record(
            session,
            EventKind.ASSETS_IMPORTED,
            actor=actor,
            subject="assets",
            data=data,
            now=rt.clock(),
        )
    return len(found)


async def list_assets(rt: Runtime, wanted: AssetFilter = EVERY_ASSET) -> tuple[Asset, ...]:
    """Return assets by type and value."""
    async with rt.store.read() as session:
        return tuple(_asset(row) for row in await configuration.list_assets(session, wanted))


async def get_asset(rt: Runtime, type_: str, value: str) -> Asset:
    """Return an asset, whose value may have any spelling. Raise Invalid, NotFound."""
    async with rt.store.read() as session:
        return _asset(await _load(session, *_canonical(type_, value)))


async def remove_asset(
    rt: Runtime, type_: str, value: str, *, actor: str, replaces: Precondition = ANY_STATE
) -> None:
    """Delete an asset. Raise Invalid, NotFound, PreconditionFailed."""
    kind, canonical = _canonical(type_, value)
    async with rt.store.write() as session:
        row = await _load(session, kind, canonical)
        replaces.check(f"asset {kind.value} {canonical}", _asset(row))
        await policy_inputs.remove_asset(session, row)
        data = {"type": kind.value, "value": canonical, "critical": row.critical, "tags": row.tags}
        await trail.record(
            session,
            EventKind.ASSET_REMOVED,
            actor=actor,
            subject=f"{kind.value}:{canonical}",
            data=data,
            now=rt.clock(),
        )


def _canonical(type_: str, value: str) -> tuple[ObservableType, str]:
    """Return the type and the value as the inventory spells it. Raise Invalid."""
    try:
        kind = ObservableType(type_)
        return kind, CANONICAL[kind](value)
    except ValueError:
        fix = did_you_mean(type_, _KNOWN["type"]) if type_ not in _KNOWN["type"] else None
        raise Invalid(
            f"{type_} {value} is not a valid asset" + (f"; {fix}" if fix else "")
        ) from None


async def _load(session: AsyncSession, kind: ObservableType, value: str) -> AssetRow:
    row = await records.get(session, AssetRow, (kind.value, value))
    if row is None:
        raise NotFound(f"asset {kind.value} {value} does not exist")
    return row


def _asset(row: AssetRow) -> Asset:
    names = [value for _, value in row.also]
    return Asset.model_validate(row.model_dump(exclude={"short", "also"}) | {"also": names})


def _parsed(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Asset]:
    """Return the rows in canonical form. Raise Invalid with the first problems of all rows."""
    parsed: dict[tuple[str, str], tuple[str, Asset]] = {}
    problems: list[str] = []
    for place, row in rows:
        try:
            asset = Asset.model_validate(row)
            also = tuple(value for _, value in other_names(asset.type, asset.also))
            value = CANONICAL[asset.type](asset.value)
            asset = asset.model_copy(update={"value": value, "also": also})
        except ValidationError as error:
            problems += [
                f"{place}: {_describe(problem)}"
                for problem in error.errors(include_url=False, include_context=False)
            ]
            continue
        except ValueError as error:
            problems.append(f"{place}: {error}")
            continue
        before, _ = parsed.setdefault((asset.type.value, asset.value), (place, asset))
        if before != place:
            problems.append(
                f"{place}: {asset.type.value} {asset.value} is a duplicate of {before}; remove one"
            )
    if problems:
        more = len(problems) - _MAX_PROBLEMS
        raise Invalid(
            "\n".join([*problems[:_MAX_PROBLEMS], *([f"and {more} more"] if more > 0 else [])])
        )
    return [asset for _, asset in parsed.values()]


_KNOWN = {"type": [each.value for each in ObservableType], "kind": [*get_args(Kind)]}


def _describe(problem: Any) -> str:
    path = problem["loc"]
    if not path:
        return "not an asset; use an object with type and value"
    name = str(path[0])
    if problem["type"] == "extra_forbidden":
        fix, message = did_you_mean(name, Asset.model_fields), f"an asset has no {name[:64]!r}"
    elif name in _KNOWN and problem["type"] in {"enum", "literal_error"}:
        word = str(problem["input"])
        fix, message = did_you_mean(word, _KNOWN[name]), f"{name}: unknown {name} {word[:64]!r}"
    else:
        fix, message = None, f"{'.'.join(map(str, path))}: {problem['msg']}"
    return message + (f"; {fix}" if fix else "")


def _row(asset: Asset) -> AssetRow:
    return AssetRow(
        type=asset.type.value,
        value=asset.value,
        short=short_name(asset.type.value, asset.value),
        kind=asset.kind,
        critical=asset.critical,
        tags=list(dict.fromkeys(asset.tags)),
        also=[[kind, value] for kind, value in other_names(asset.type, asset.also)],
    )
