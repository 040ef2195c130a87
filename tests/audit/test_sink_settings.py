"""A sink whose secret, key or authorities are missing is an error of the configuration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.audit.sinks.configure import make_sinks
from orchestrator.cli.diagnosis.trail import examine_sinks
from orchestrator.domain.errors import Invalid
from orchestrator.installation.identity import establish_identity
from orchestrator.settings import Settings
from orchestrator.worker import run_worker
from tests.harness.databases import START, opened

INCOMPLETE = (
    "https://witness.example/tocsin?token=hidden",
    "rfc3161+https://tsa.example/tsr",
    "s3://bucket/?region=eu-central-1&retain_days=30",
)


@pytest.mark.parametrize(
    ("url", "setting"),
    [
        (INCOMPLETE[0], "audit_sinks_secret"),
        (INCOMPLETE[1], "audit_sinks_tsa_ca_file"),
        (INCOMPLETE[2], "audit_sinks_s3_key_id"),
    ],
)
async def test_a_sink_without_its_secret_is_an_error_of_the_configuration_at_the_start(
    tmp_path: Path, url: str, setting: str
) -> None:
    async with opened(tmp_path, None) as [rt]:
        await establish_identity(rt)
    shown = re.escape(url.split("?")[0])
    settings = rt.settings.model_copy(update={"audit_sinks": (url,)})
    with pytest.raises(Invalid, match=f"audit sink {shown}.*set {setting}") as found:
        await run_worker(settings)
    assert "hidden" not in str(found.value)
    (said,) = examine_sinks(settings)
    assert said.level == "wrong"
    assert setting in said.text


def test_all_incomplete_sinks_are_named_at_once(tmp_path: Path) -> None:
    settings = Settings.load(data_dir=tmp_path, audit_sinks=INCOMPLETE)
    with pytest.raises(Invalid, match=r"audit_sinks_secret.*tsa_ca_file.*s3_key_id"):
        make_sinks(settings, lambda: START)


def test_authorities_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    settings = Settings.load(
        data_dir=tmp_path,
        audit_sinks=("syslog+tls://log.example:6514",),
        audit_sinks_ca_file=tmp_path / "missing.pem",
    )
    with pytest.raises(Invalid, match=r"missing\.pem: cannot be used as the authorities"):
        make_sinks(settings, lambda: START)
