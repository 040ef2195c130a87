"""A connection is checked before it is saved, sealed at rest, and opened as last saved."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select

from connectors.lab import lab_app, lab_settings
from connectors.sdk.connector import Connector
from connectors.sdk.settings import secret_fields
from connectors.sdk.transport import Access
from orchestrator.connections.credentials import open_credentials
from orchestrator.connections.manage import (
    CHECK_SETTINGS,
    CheckSettings,
    check_connection,
    list_connections,
    remove_connection,
    save_connection,
)
from orchestrator.connections.open import open_connection_for
from orchestrator.domain.errors import ActionError, Invalid, NotFound, Rejected, Unavailable
from orchestrator.requests import RequestHandler
from orchestrator.runtime import Runtime
from orchestrator.store.tables import ConnectionRow
from tests.connectors.conftest import serving
from tests.harness.databases import opened
from tests.harness.outbound_proxy import ForwardProxy
from tests.harness.request_worker import request_worker

ANN = "person:ann"


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with opened(tmp_path, None) as [runtime]:
        yield runtime


@pytest.fixture
async def firewall() -> AsyncIterator[dict[str, Any]]:
    """The settings of a firewall emulator that listens."""
    async with serving(lab_app()) as url:
        yield lab_settings(url)["palo_alto"]


async def test_working_credential_is_saved_and_checked_again(
    rt: Runtime, firewall: dict[str, Any]
) -> None:
    saved = await save_connection(
        rt, "firewall", "palo_alto", firewall, actor=ANN, client=request_worker(rt)
    )
    assert (saved.capability, saved.revision, saved.secrets) == (
        "firewall",
        1,
        ("api_key", "proxy_password", "write_api_key"),
    )
    assert (await check_connection(rt, request_worker(rt), "firewall")).answer


@pytest.mark.parametrize("field", ["api_key", "write_api_key"])
async def test_failing_credential_is_not_saved(
    rt: Runtime, firewall: dict[str, Any], field: str
) -> None:
    with pytest.raises(ActionError):
        await save_connection(
            rt,
            "firewall",
            "palo_alto",
            {**firewall, field: "wrong"},
            actor=ANN,
            client=request_worker(rt),
        )
    assert await list_connections(rt) == ()


async def test_reader_never_opens_the_seal_of_the_write_credential(
    rt: Runtime, firewall: dict[str, Any]
) -> None:
    await save_connection(rt, "firewall", "palo_alto", firewall, actor=ANN, check=False)
    async with rt.store.write() as session:
        [row] = await session.scalars(select(ConnectionRow))
        row.secrets = json.dumps({**json.loads(row.secrets), "write": "cannot be opened"}).encode()
    reader = await open_connection_for(rt, "firewall", Access.READ)
    assert await reader.check()
    assert firewall["write_api_key"] not in {str(value) for value in credentials_of(reader)}
    with pytest.raises(Invalid):
        await open_connection_for(rt, "firewall", Access.WRITE)


def credentials_of(connector: Connector[Any]) -> list[str]:
    """Return the secrets in clear text of an open connector."""
    values = [getattr(connector.settings, name) for name in secret_fields(type(connector.settings))]
    return [value.get_secret_value() for value in values if value is not None]


async def test_secrets_are_in_no_view_and_not_in_clear_in_the_database(
    rt: Runtime, firewall: dict[str, Any]
) -> None:
    view = await save_connection(rt, "firewall", "palo_alto", firewall, actor=ANN, check=False)
    secret = firewall["api_key"]
    async with rt.store.read() as session:
        [row] = await session.scalars(select(ConnectionRow))
    assert secret not in view.model_dump_json()
    assert secret not in str(row.settings)
    assert secret.encode() not in row.secrets
    database = (rt.settings.data_dir / "tocsin.db").read_bytes() + (
        rt.settings.data_dir / "tocsin.db-wal"
    ).read_bytes()
    assert secret.encode() not in database


async def test_write_credential_is_not_loaded_for_reading(
    rt: Runtime, firewall: dict[str, Any]
) -> None:
    await save_connection(rt, "firewall", "palo_alto", firewall, actor=ANN, check=False)
    assert (await open_connection_for(rt, "firewall", Access.READ)).settings.write_api_key is None
    assert (
        await open_connection_for(rt, "firewall", Access.WRITE)
    ).settings.write_api_key is not None


async def test_open_connector_is_reused_until_the_connection_is_saved_again(
    rt: Runtime, firewall: dict[str, Any]
) -> None:
    await save_connection(rt, "firewall", "palo_alto", firewall, actor=ANN, check=False)
    first = await open_connection_for(rt, "firewall", Access.READ)
    assert await open_connection_for(rt, "firewall", Access.READ) is first
    saved = await save_connection(rt, "firewall", "palo_alto", firewall, actor=ANN, check=False)
    assert saved.revision == 2
    assert await open_connection_for(rt, "firewall", Access.READ) is not first


async def test_connection_removed_and_added_again_is_opened_with_its_new_settings(
    rt: Runtime, firewall: dict[str, Any]
) -> None:
    await save_connection(rt, "firewall", "palo_alto", firewall, actor=ANN, check=False)
    await open_connection_for(rt, "firewall", Access.READ)
    await remove_connection(rt, "firewall", actor=ANN)
    with pytest.raises(NotFound, match="tocsin connection add firewall"):
        await open_connection_for(rt, "firewall", Access.READ)
    await save_connection(
        rt, "firewall", "palo_alto", {**firewall, "tag": "another"}, actor=ANN, check=False
    )
    assert (await open_connection_for(rt, "firewall", Access.READ)).settings.tag == "another"


@pytest.mark.parametrize("name", ["", "Fire", "fire wall", "fire.wall", "../x", "f" * 65])
async def test_name_that_no_playbook_could_write_is_refused(
    rt: Runtime, firewall: dict[str, Any], name: str
) -> None:
    with pytest.raises(Invalid, match="not a valid connection name"):
        await save_connection(rt, name, "palo_alto", firewall, actor=ANN, check=False)


async def test_wrong_setting_is_named_without_its_value(
    rt: Runtime, firewall: dict[str, Any]
) -> None:
    with pytest.raises(Invalid, match="poll_seconds") as refusal:
        await save_connection(
            rt, "firewall", "palo_alto", {**firewall, "poll_seconds": "s3cret"}, actor=ANN
        )
    assert "s3cret" not in str(refusal.value)


async def test_nothing_is_saved_when_no_worker_can_check_the_credential(
    rt: Runtime, firewall: dict[str, Any]
) -> None:
    with pytest.raises(Unavailable, match="no worker can be asked"):
        await save_connection(rt, "firewall", "palo_alto", firewall, actor=ANN)
    assert await list_connections(rt) == ()


async def test_secrets_reach_the_worker_sealed(rt: Runtime, firewall: dict[str, Any]) -> None:
    asked: list[CheckSettings] = []

    async def check(_: Runtime, message: CheckSettings) -> None:
        asked.append(message)

    client = request_worker(rt, (RequestHandler(CHECK_SETTINGS, check),))
    await save_connection(rt, "firewall", "palo_alto", firewall, actor=ANN, client=client)
    [message] = asked
    sealed = base64.b64decode(message.secrets)
    assert firewall["api_key"] not in message.model_dump_json() + sealed.decode()
    sealed_for = (rt.secrets, "firewall", "palo_alto", message.settings)
    assert open_credentials(*sealed_for, sealed, Access.READ) == {"api_key": firewall["api_key"]}


async def test_connection_is_checked_through_its_proxy_and_its_password_is_sealed(
    rt: Runtime, firewall: dict[str, Any]
) -> None:
    async with ForwardProxy(firewall["base_url"], credential="tocsin:pr0xy-s3cret") as proxy:
        given = {
            **firewall,
            "base_url": _behind_proxy(firewall["base_url"]),
            "plain_http": True,
            "proxy": proxy.url,
            "proxy_user": "tocsin",
            "proxy_password": "wrong",
        }
        worker = request_worker(rt)
        with pytest.raises(Rejected, match=f"the proxy {proxy.address} requires a user"):
            await save_connection(rt, "firewall", "palo_alto", given, actor=ANN, client=worker)
        given["proxy_password"] = "pr0xy-s3cret"
        saved = await save_connection(rt, "firewall", "palo_alto", given, actor=ANN, client=worker)
        assert (await check_connection(rt, worker, "firewall")).answer
    assert "proxy_password" in saved.secrets
    assert "pr0xy-s3cret" not in saved.model_dump_json()
    assert all(" http://firewall.corp.example" in line for line in proxy.asked)
    with pytest.raises(Unavailable, match="cannot connect to the proxy"):
        await check_connection(rt, worker, "firewall")


async def test_connection_uses_the_proxy_of_the_installation_unless_it_says_direct(
    tmp_path: Path, firewall: dict[str, Any]
) -> None:
    given = {**firewall, "base_url": _behind_proxy(firewall["base_url"]), "plain_http": True}
    async with ForwardProxy(firewall["base_url"]) as proxy, opened(tmp_path, None) as [opened_rt]:
        rt = replace(
            opened_rt,
            settings=opened_rt.settings.model_copy(
                update={"outbound_proxy": SecretStr(f"http://u:p@{proxy.address}")}
            ),
        )
        worker = request_worker(rt)
        await save_connection(rt, "firewall", "palo_alto", given, actor=ANN, client=worker)
        asked = len(proxy.asked)
        assert asked
        with pytest.raises(Unavailable, match="does not resolve"):
            await save_connection(
                rt, "inside", "palo_alto", {**given, "proxy": "direct"}, actor=ANN, client=worker
            )
        assert len(proxy.asked) == asked


def _behind_proxy(url: str) -> str:
    """Return the URL with a name that only a proxy resolves."""
    return str(httpx.URL(url).copy_with(host="firewall.corp.example"))
