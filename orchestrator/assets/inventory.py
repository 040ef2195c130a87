"""Assets: what we know of our own hosts, users and networks. Imported whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, ValidationError

from orchestrator.assets.facts import canonical_tag, short
from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.domain.observable import CANONICAL, ObservableType
from orchestrator.playbook.problems import did_you_mean
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records
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
_MOST_PROBLEMS = 20


class Asset(Frozen):
    """One thing of ours. A network's tags are those of every address in it."""

    type: ObservableType
    value: Annotated[str, Field(min_length=1, max_length=4096)]
    kind: Kind = "unknown"
    critical: bool = False
    tags: Annotated[tuple[Tag, ...], Field(max_length=50)] = ()


async def import_assets(rt: Runtime, rows: Iterable[Mapping[str, Any]], *, actor: str) -> int:
    """Adds or replaces; how many. Raises Invalid naming each wrong row; then nothing was imported."""
    return await import_numbered(
        rt, [(f"asset {number}", row) for number, row in enumerate(rows, 1)], actor=actor
    )


async def import_numbered(
    rt: Runtime, rows: Sequence[tuple[str, Mapping[str, Any]]], *, actor: str
) -> int:
    """As `import_assets`, of rows that come with their places, such as `line 14`."""
    found = _parsed(rows)
    async with rt.store.write() as session:
        await records.put_assets(session, [_row(asset) for asset in found])
        told = {"count": len(found)}
        await trail.record(
            session,
            EventKind.ASSETS_IMPORTED,
            actor=actor,
            subject="assets",
            data=told,
            now=rt.clock(),
        )
    return len(found)


async def list_assets(rt: Runtime) -> tuple[Asset, ...]:
    """All of them."""
    async with rt.store.read() as session:
        return tuple(
            Asset.model_validate(row.model_dump(exclude={"short"}))
            for row in await records.every(session, AssetRow)
        )


async def remove_asset(rt: Runtime, type_: str, value: str, *, actor: str) -> None:
    """Forgets one. Raises Invalid, NotFound."""
    try:
        kind = ObservableType(type_)
        named = CANONICAL[kind](value)
    except ValueError:
        mend = did_you_mean(type_, _KNOWN["type"]) if type_ not in _KNOWN["type"] else None
        raise Invalid(
            f"{type_} {value} can't be an asset" + (f"; {mend}" if mend else "")
        ) from None
    async with rt.store.write() as session:
        row = await records.one(session, AssetRow, (kind.value, named))
        if row is None:
            raise NotFound(f"there is no asset {kind.value} {named}")
        await records.remove(session, row)
        told = {"type": kind.value, "value": named, "critical": row.critical, "tags": row.tags}
        await trail.record(
            session,
            EventKind.ASSET_REMOVED,
            actor=actor,
            subject=f"{kind.value}:{named}",
            data=told,
            now=rt.clock(),
        )


def _parsed(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Asset]:
    """All rows in their canonical spelling, each thing once; or Invalid with the first problems of all."""
    found: dict[tuple[str, str], tuple[str, Asset]] = {}
    problems: list[str] = []
    for place, row in rows:
        try:
            asset = Asset.model_validate(row)
            asset = asset.model_copy(update={"value": CANONICAL[asset.type](asset.value)})
        except ValidationError as error:
            problems += [
                f"{place}: {_said(each)}"
                for each in error.errors(include_url=False, include_context=False)
            ]
            continue
        except ValueError as error:
            problems.append(f"{place}: {error}")
            continue
        before, _ = found.setdefault((asset.type.value, asset.value), (place, asset))
        if before != place:
            problems.append(
                f"{place}: {asset.type.value} {asset.value} stands in {before} already; leave one out"
            )
    if problems:
        more = len(problems) - _MOST_PROBLEMS
        raise Invalid(
            "\n".join([*problems[:_MOST_PROBLEMS], *([f"and {more} more"] if more > 0 else [])])
        )
    return [asset for _, asset in found.values()]


_KNOWN = {"type": [each.value for each in ObservableType], "kind": [*get_args(Kind)]}


def _said(problem: Any) -> str:
    path = problem["loc"]
    if not path:
        return "is no asset; write an object with type and value"
    name = str(path[0])
    if problem["type"] == "extra_forbidden":
        mend, message = did_you_mean(name, Asset.model_fields), f"an asset has no {name[:64]!r}"
    elif name in _KNOWN and problem["type"] in {"enum", "literal_error"}:
        word = str(problem["input"])
        mend, message = did_you_mean(word, _KNOWN[name]), f"{name}: unknown {name} {word[:64]!r}"
    else:
        mend, message = None, f"{'.'.join(map(str, path))}: {problem['msg']}"
    return message + (f"; {mend}" if mend else "")


def _row(asset: Asset) -> dict[str, Any]:
    tags = list(dict.fromkeys(asset.tags))
    return {
        **asset.model_dump(mode="json"),
        "tags": tags,
        "short": short(asset.type.value, asset.value),
    }
