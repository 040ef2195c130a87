"""`tocsin find`, `me`, `version` and `connector show`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.api_server import ApiServer, api_server
from tests.harness.commands import tocsin


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory.mktemp("find") / "data") as running:
        yield running


def test_find_lists_each_kind(server: ApiServer) -> None:
    where = ("--data-dir", server.settings.data_dir)
    done = tocsin("find", "198.51.100.7", *where)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{kind}: 0" for kind in ("alerts", "runs", "approvals", "containments", "audit")
    ]
    assert json.loads(tocsin("find", "198.51.100.7", "--json", *where).stdout)["alerts"] == []
    assert "not of the type" in tocsin("find", "address:x", *where).stderr


def test_me_and_version(server: ApiServer, tmp_path: Path) -> None:
    where = ("--data-dir", server.settings.data_dir)
    assert "person: admin" in tocsin("me", *where).stdout
    own = tocsin("version").stdout
    assert tocsin("--version").stdout == own
    assert own.startswith("tocsin ")
    installation = json.loads(tocsin("version", "--json", *where).stdout)["installation"]
    assert f"tocsin {installation['version']}" == own.strip()


def test_connector_show_names_settings_and_actions() -> None:
    done = tocsin("connector", "show", "nftables")
    assert done.returncode == 0, done.stderr
    assert "block_address" in done.stdout
    assert "Firewall" in done.stdout or "firewall" in done.stdout
    found = json.loads(tocsin("connector", "show", "nftables", "--json").stdout)
    assert [each["name"] for each in found["actions"]]
    assert tocsin("connector", "show", "nothing").returncode == 1
