"""A client that `openapi-python-client` makes covers the whole API."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import describe_app

generator = pytest.importorskip(
    "openapi_python_client", reason="openapi-python-client is not installed"
)
NOT_JSON = {"POST /v1/assets": "text/csv", "GET /v1/audit/export": "application/x-ndjson"}
"""Operations with a second content type, which the generator leaves out and says so."""


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the folder of a generated client, and what the generator said."""
    folder = tmp_path_factory.mktemp("client")
    document = folder / "openapi.json"
    document.write_text(json.dumps(describe_app().openapi()))
    config = folder / "config.yml"
    config.write_text("post_hooks: []\n")
    made = subprocess.run(
        [
            sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none",
            "--path", str(document), "--config", str(config),
            "--output-path", str(folder / "generated_tocsin"),
        ],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    return folder, made.stdout


@pytest.fixture(scope="module")
def client_package(generated: tuple[Path, str]) -> Any:
    """Yield the name of the generated package, importable."""
    folder, _ = generated
    sys.path.insert(0, str(folder))
    yield "generated_tocsin"
    sys.path.remove(str(folder))


@cache
def operations() -> dict[str, tuple[str, str]]:
    """Return the operation ids, each with its tag and what it is."""
    return {
        operation["operationId"]: (operation["tags"][0], f"{method.upper()} {path}")
        for path, item in describe_app().openapi()["paths"].items()
        for method, operation in item.items()
    }


def module(package: str, name: str) -> ModuleType:
    tag = operations()[name][0].replace(" ", "_")
    return importlib.import_module(f"{package}.api.{tag}.{name}")


def test_generator_leaves_nothing_out(generated: tuple[Path, str]) -> None:
    _, said = generated
    warned = {line for line in said.splitlines() if line.startswith(("WARNING", "ERROR"))}
    left_out = {line for line in warned if not any(each in line for each in NOT_JSON)}
    assert left_out == set(), said


def test_every_operation_can_be_imported(client_package: str) -> None:
    for name in operations():
        found = module(client_package, name)
        assert callable(found.asyncio_detailed), name


async def test_generated_client_calls_the_api(
    client_package: str, app: FastAPI, admin: httpx.AsyncClient
) -> None:
    package = importlib.import_module(client_package)
    models = importlib.import_module(f"{client_package}.models")
    token = admin.headers["authorization"].removeprefix("Bearer ")
    client = package.AuthenticatedClient(
        base_url="http://tocsin", token=token, httpx_args={"transport": httpx.ASGITransport(app)}
    )

    def call(name: str, **given: Any) -> Any:
        return module(client_package, name).asyncio_detailed(client=client, **given)

    source = models.AddSource(name="edge", product="suricata", scheme=models.Scheme.BEARER)
    added = await call("add_source", body=source)
    assert (added.status_code, added.parsed.name) == (201, "edge")
    listed = await call("list_sources", limit=10)
    assert [each.name for each in listed.parsed.items] == ["edge"]
    await call("add_person", body=models.AddPerson(id="ann"))
    body = models.CreateKey(person="ann", roles=[models.Role.VIEWER])
    first = await call("create_key", body=body, idempotency_key="one-key-only")
    again = await call("create_key", body=body, idempotency_key="one-key-only")
    assert first.parsed.enrolment_code == again.parsed.enrolment_code
    assert first.parsed.created_at.tzinfo is not None
    policy = await call("get_policy")
    changed = models.PublishPolicy(text="protect: {hosts: [dc-1]}\n")
    refused = await call("publish_policy", body=changed)
    assert (refused.status_code, refused.parsed.status) == (428, 428)
    done = await call("publish_policy", body=changed, if_match=policy.headers["etag"])
    assert done.parsed.version == 2
    unknown = await call("get_run", run_id="run_x")
    assert unknown.parsed.detail == "run run_x does not exist"
    runs = await call("list_runs", status=[models.RunStatus.WAITING])
    assert runs.parsed.items == []
