"""The inventory is imported as a whole or not at all; errors name every wrong line and the fix."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.assets import inventory
from orchestrator.assets.csv_import import read_csv, write_csv
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Invalid, NotFound
from orchestrator.runtime import Runtime
from orchestrator.store.tables import AuditEventRow
from tests.harness.databases import opened

ANN = "person:ann"
HEADER = "type,value,kind,critical,tags\n"


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with opened(tmp_path, None) as [runtime]:
        yield runtime


async def imported(rt: Runtime, text: str) -> tuple[inventory.Asset, ...]:
    await inventory.import_numbered(rt, read_csv(text), actor=ANN)
    return await inventory.list_assets(rt)


async def test_exported_csv_equals_imported_csv(rt: Runtime) -> None:
    text = (
        "type,value,kind,critical,tags,also\n"
        "host,dc-01,domain_controller,true,tier-0;domain-controller,dc-01.corp.example;10.10.0.10\n"
        "network,10.20.0.0/16,network,false,own-network,\n"
    )
    assert write_csv(await imported(rt, text)) == text


async def test_tags_are_normalized_and_separated_by_semicolons_or_bars(
    rt: Runtime,
) -> None:
    [asset] = await imported(
        rt, '\ufefftype,value,tags\r\nhost,WS-1.,"Domain Controller|own_network; CRITICAL "\r\n\r\n'
    )
    assert (asset.value, asset.tags) == ("ws-1", ("domain-controller", "own-network", "critical"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: column 'type' is missing"),
        ("type,valu\n", "line 1: unknown column 'valu'; did you mean 'value'?"),
        ("type,value,type\n", "line 1: duplicate column 'type'"),
        (HEADER + "host,a,server,maybe,\n", "line 2: critical is 'maybe'; write true or false"),
        (HEADER + "host,a,server,true,x,y\n", "line 2: 6 cells, but 5 columns"),
        (
            HEADER + "host,a,servr,true,x\n",
            "line 2: kind: unknown kind 'servr'; did you mean 'server'?",
        ),
        (
            HEADER + "hots,a,server,true,x\n",
            "line 2: type: unknown type 'hots'; did you mean 'host'?",
        ),
        (HEADER + "address,10.0.0,server,true,x\n", "line 2: "),
        (HEADER + "host,,server,true,x\n", "line 2: value: "),
        (
            HEADER + "host,dc-01,,,\nhost,b,,,\nhost,DC-01.,,,\n",
            "line 4: host dc-01 is a duplicate of line 2; remove one",
        ),
        (
            HEADER + "address,::ffff:10.0.0.1,,,\naddress,10.0.0.1,,,\n",
            "line 3: address 10.0.0.1 is a duplicate of line 2",
        ),
        (HEADER + 'host,"a,server\n', "not valid CSV"),
    ],
)
async def test_wrong_file_is_refused_with_the_line_and_the_fix(
    rt: Runtime, text: str, message: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await imported(rt, HEADER + "" if text is None else text)
    assert message in str(refused.value)
    assert await inventory.list_assets(rt) == ()


async def test_all_wrong_lines_are_named_at_once(rt: Runtime) -> None:
    with pytest.raises(Invalid) as refused:
        await imported(rt, HEADER + "".join(f"hots,h{number},,,\n" for number in range(30)))
    assert str(refused.value).count("unknown type") == 20
    assert str(refused.value).endswith("and 10 more")


async def test_asset_is_removed_by_any_notation_of_its_name(rt: Runtime) -> None:
    await imported(rt, HEADER + "host,a,,true,\nhost,b,,,\n")
    await inventory.remove_asset(rt, "host", "A.", actor=ANN)
    assert [asset.value for asset in await inventory.list_assets(rt)] == ["b"]
    with pytest.raises(NotFound):
        await inventory.remove_asset(rt, "host", "a", actor=ANN)
    with pytest.raises(Invalid, match="did you mean 'host'"):
        await inventory.remove_asset(rt, "hots", "a", actor=ANN)
    async with rt.store.read() as session:
        events = [await session.get(AuditEventRow, number) for number in (1, 2)]
    assert [event.kind for event in events if event] == [
        EventKind.ASSETS_IMPORTED,
        EventKind.ASSET_REMOVED,
    ]
