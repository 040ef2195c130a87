"""`tocsin up` says what it waits for, and says "ready" only where alerts are acted on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.harness.stack import TOCSIN, environment, free_port, until

pytestmark = pytest.mark.stack


@contextmanager
def _starting(folder: Path, port: int, **variables: str) -> Iterator[Path]:
    """A stack that starts; yields the file of what it prints."""
    output = folder.with_suffix(".out")
    command = [*TOCSIN, "up", "--data-dir", str(folder), "--port", str(port)]
    with output.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env=environment(**variables)
        )
    try:
        yield output
    finally:
        process.terminate()
        process.wait(60)


def test_an_absent_external_temporal_is_named_at_once_and_alerts_are_accepted(
    tmp_path: Path,
) -> None:
    port, absent = free_port(), f"127.0.0.1:{free_port()}"
    given = {
        "TOCSIN_TEMPORAL_BUNDLED": "false",
        "TOCSIN_TEMPORAL_ADDRESS": absent,
        "TOCSIN_MAIL_FROM": "soc@corp.example",
        "TOCSIN_PROT": "1",
    }
    with _starting(tmp_path / "data", port, **given) as output:
        line = f"waiting for Temporal: {absent} does not answer"
        until(lambda: line in output.read_text(), 100, "the notice")
        ready = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=20)
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        printed = output.read_text().splitlines()
    assert "ready" not in printed
    assert f"new installation: {tmp_path / 'data'}" in printed
    assert "warning: no mail is sent: also set smtp_url and public_url" in printed
    assert any(each.startswith("warning: TOCSIN_PROT: unknown variable") for each in printed)
