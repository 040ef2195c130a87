"""Rules that hold for every registered connector."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.capabilities import CAPABILITIES
from connectors.readme import drifted
from connectors.registry import CONNECTORS, connector
from connectors.sdk.capability import NoOutput
from connectors.sdk.open import open_connector
from connectors.sdk.settings import parse_settings, secret_fields, without_write, write_fields
from connectors.sdk.transport import Access
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import Invalid, NotFound

each_connector = pytest.mark.parametrize("cls", CONNECTORS, ids=lambda cls: cls.name)


def test_names_are_unique_and_equal_their_folders() -> None:
    names = [cls.name for cls in CONNECTORS]
    assert len(names) == len(set(names))
    assert all(cls.__module__ == f"connectors.{cls.name}.connector" for cls in CONNECTORS)


def test_unknown_name_is_reported_with_the_known_ones() -> None:
    with pytest.raises(NotFound, match="palo_alto"):
        connector("paloalto")


def test_every_capability_has_a_connector() -> None:
    served = {action.capability for cls in CONNECTORS for action in cls.bound.values()}
    assert served == {capability.capability for capability in CAPABILITIES}


@each_connector
def test_every_action_has_what_its_effect_requires(cls: Any) -> None:
    for action in cls.bound.values():
        assert action.summary.endswith(".")
        assert (action.plan is not None) is action.spec.effect.changes
        assert action.undo is not None or action.spec.effect is not Effect.CONTAIN
        assert (
            action.spec.output is NoOutput or "model_config" not in action.spec.output.model_fields
        )


@each_connector
def test_fields_named_like_secrets_are_secret(cls: Any) -> None:
    secretive = re.compile(r"secret|password|token|api_key|_key$")
    assert {
        name for name in cls.settings_type.model_fields if secretive.search(name)
    } <= secret_fields(cls.settings_type)
    assert write_fields(cls.settings_type) <= secret_fields(cls.settings_type)


@each_connector
def test_wrong_setting_is_named_without_its_value(cls: Any) -> None:
    with pytest.raises(Invalid, match="nonsense") as caught:
        parse_settings(
            cls.name,
            cls.settings_type,
            {"nonsense": "s3cr3t", **dict.fromkeys(secret_fields(cls.settings_type), "s3cr3t")},
        )
    assert "s3cr3t" not in str(caught.value)
    assert f"nonsense: unknown; use {', '.join(cls.settings_type.model_fields)}" in str(
        caught.value
    )


def test_write_credential_is_not_loaded_for_reads() -> None:
    palo_alto = connector("palo_alto")
    given = {"base_url": "https://fw.corp.example", "api_key": "reads", "write_api_key": "writes"}
    reading, writing = (
        open_connector(palo_alto, given, access) for access in (Access.READ, Access.WRITE)
    )
    assert reading.settings.write_api_key is None
    assert writing.settings.write_api_key == SecretStr("writes")
    assert palo_alto.headers(reading.settings, Access.READ) == {"X-PAN-KEY": "reads"}
    assert palo_alto.headers(writing.settings, Access.WRITE) == {"X-PAN-KEY": "writes"}
    assert without_write(writing.settings) == reading.settings


@pytest.mark.parametrize(
    ("base_url", "words"),
    [
        ("http://fw.corp.example", "in clear"),
        ("ftp://fw.corp.example", "not an http"),
        ("fw.corp.example", "not an http"),
        ("https://user:pw@fw.corp.example", "must not contain a user"),
        ("https://fw.corp.example/?a=1", "must not contain a user"),
    ],
)
def test_unsafe_base_url_is_refused(base_url: str, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        parse_settings(
            "palo_alto",
            connector("palo_alto").settings_type,
            {"base_url": base_url, "api_key": "k"},
        )


def test_plain_http_requires_loopback_or_the_setting() -> None:
    palo_alto = connector("palo_alto")
    for given in (
        {"base_url": "http://127.0.0.1:8"},
        {"base_url": "http://localhost"},
        {"base_url": "http://lab:8", "plain_http": True},
    ):
        parse_settings("palo_alto", palo_alto.settings_type, {**given, "api_key": "k"})


def test_generated_pages_are_current() -> None:
    assert drifted(CONNECTORS) == [], "run `python -m connectors.readme`"
