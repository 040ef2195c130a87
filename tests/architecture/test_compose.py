"""docker-compose.yml is valid and grants no more rights than needed."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from orchestrator.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
OURS = ("api", "worker", "migrate")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return YAML(typ="safe", pure=True).load(ROOT / "docker-compose.yml")


def test_file_matches_the_compose_specification(compose: dict[str, Any]) -> None:
    import jsonschema  # takes seconds, which collection need not wait for

    schema = json.loads(
        (files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text("utf-8")
    )
    jsonschema.validators.validator_for(schema)(schema).validate(compose)


def test_no_service_has_more_rights_than_it_needs(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert not service.get("privileged"), name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service.get("network_mode") is None, name
        assert not any("docker.sock" in str(volume) for volume in service.get("volumes", [])), name


def test_services_cannot_write_to_their_image(compose: dict[str, Any]) -> None:
    for name in OURS:
        assert compose["services"][name]["read_only"], name
        assert compose["services"][name]["user"] == "10001:10001", name


def test_every_secret_is_in_a_file_and_none_in_the_environment(
    compose: dict[str, Any],
) -> None:
    assert all(set(secret) == {"file"} for secret in compose["secrets"].values())
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            secret = any(word in variable for word in ("PASSWORD", "SECRET", "PWD", "KEY"))
            assert not secret or str(value).startswith("/run/secrets/"), f"{name}: {variable}"


def test_every_setting_exists(compose: dict[str, Any]) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {"TOCSIN_CONFIG"}
    for name in OURS:
        given = {
            variable
            for variable in compose["services"][name]["environment"]
            if variable.startswith(PREFIX)
        }
        assert given <= known, name


def test_api_is_published_on_the_loopback_only(compose: dict[str, Any]) -> None:
    published = {
        name: service["ports"]
        for name, service in compose["services"].items()
        if "ports" in service
    }
    assert list(published) == ["api"]
    assert all(port.startswith("127.0.0.1:") for port in published["api"])


def test_several_apis_and_workers_share_one_database_and_wait_for_its_migration(
    compose: dict[str, Any],
) -> None:
    for name in ("api", "worker"):
        service = compose["services"][name]
        assert service["deploy"]["replicas"] > 1
        assert service["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert service["healthcheck"]["test"]
