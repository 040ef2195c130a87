"""The services alone: they find the stack of their data directory, and create no second one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.stack.ports import Listening, choose, save_listening, with_stack_temporal
from orchestrator.settings import Settings, exposure
from tests.harness.certificates import Authority
from tests.harness.commands import tocsin


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield int(other.getsockname()[1])


def test_every_service_names_a_taken_port_alike(tmp_path: Path, taken: int) -> None:
    assert tocsin("migrate", "--data-dir", tmp_path / "data").returncode == 0
    said = {
        tocsin(service, "--data-dir", tmp_path / "data", "--port", taken).stderr
        for service in ("up", "api", "lab")
    }
    assert said == {
        (
            f"tocsin: --port {taken}: cannot listen on 127.0.0.1:{taken} (another program listens "
            "there); end that program, or choose another port with --port\n"
        )
    }


@pytest.mark.parametrize("service", ["api", "worker"])
@pytest.mark.parametrize("named", [True, False])
def test_a_service_makes_no_installation(tmp_path: Path, service: str, named: bool) -> None:
    data = tmp_path / "none"
    refused = tocsin(service, *(["--data-dir", data] if named else []))
    assert refused.returncode == 1
    assert "no Tocsin here" in refused.stderr
    assert "--data-dir or TOCSIN_DATA_DIR" in refused.stderr
    assert not data.exists()
    assert list(Path.cwd().iterdir()) == []


def test_a_service_finds_the_temporal_of_the_stack_on_its_data_directory(tmp_path: Path) -> None:
    assert with_stack_temporal(Settings.load(data_dir=tmp_path)).temporal_address.endswith(":7233")
    save_listening(tmp_path, Listening(pid=1, host="127.0.0.1", api=8080, temporal=19407))
    found = with_stack_temporal(Settings.load(data_dir=tmp_path))
    assert found.temporal_address == "127.0.0.1:19407"


@pytest.mark.parametrize(
    "given", [{"temporal_address": "127.0.0.1:7000"}, {"temporal_bundled": False}]
)
def test_a_temporal_that_was_chosen_stays(tmp_path: Path, given: dict[str, object]) -> None:
    save_listening(tmp_path, Listening(pid=1, host="127.0.0.1", api=8080, temporal=19407))
    settings = Settings.load(data_dir=tmp_path, **given)
    assert with_stack_temporal(settings).temporal_address == settings.temporal_address


def test_a_prepared_directory_says_where_it_is(tmp_path: Path) -> None:
    done = tocsin("migrate", "--data-dir", tmp_path / "data")
    assert f"new installation: {tmp_path / 'data'}" in done.stdout
    again = tocsin("migrate", "--data-dir", tmp_path / "data")
    assert again.returncode == 0
    assert "new installation" not in again.stdout


@pytest.mark.attack(
    "read API keys on the network", before="the API listened on every address without TLS"
)
@pytest.mark.parametrize("service", ["up", "api"])
@pytest.mark.parametrize("proxies", ["", "127.0.0.1/32"])
def test_keys_do_not_cross_the_network_in_the_clear(
    tmp_path: Path, service: str, proxies: str
) -> None:
    assert tocsin("migrate", "--data-dir", tmp_path / "data").returncode == 0
    given = {"TOCSIN_HOST": "0.0.0.0"} | ({"TOCSIN_TRUSTED_PROXIES": proxies} if proxies else {})
    refused = tocsin(service, "--data-dir", tmp_path / "data", "--port", _free(), **given)
    assert refused.returncode == 1
    assert "would cross the network in the clear; set tls_cert and tls_key" in refused.stderr


@pytest.mark.parametrize(
    "given",
    [
        {"host": "127.0.0.1"},
        {"host": "::1"},
        {"host": "localhost"},
        {"host": "0.0.0.0", "tls_cert": "server.pem", "tls_key": "server.key"},
        {"host": "0.0.0.0", "trusted_proxies": ("192.0.2.7/32",)},
    ],
)
def test_a_listener_that_gives_nothing_away_is_allowed(
    tmp_path: Path, given: dict[str, Any]
) -> None:
    assert exposure(Settings.load(data_dir=tmp_path, **given)) is None


@pytest.mark.parametrize("service", ["up", "api"])
def test_a_certificate_that_cannot_be_used_is_refused_before_the_start(
    tmp_path: Path, service: str
) -> None:
    assert tocsin("migrate", "--data-dir", tmp_path / "data").returncode == 0
    authority = Authority(tmp_path, "corp")
    given = {
        "TOCSIN_TLS_CERT": str(authority.issue("a.example").certificate),
        "TOCSIN_TLS_KEY": str(authority.issue("b.example").key),
    }
    refused = tocsin(service, "--data-dir", tmp_path / "data", "--port", _free(), **given)
    assert refused.returncode == 1
    assert "is not the key of" in refused.stderr


def _free() -> int:
    return choose("127.0.0.1")
