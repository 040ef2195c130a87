"""The programs of a stack get the environment that they need."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.cli.stack.ports import Listening
from orchestrator.cli.stack.programs import stack_programs
from orchestrator.settings import Settings

GIVEN = {
    "TOCSIN_ENCRYPTION_KEY": "the key",
    "TOCSIN_DATABASE_URL": "postgresql://user:password@host/name",
    "TOCSIN_SMTP_URL": "smtp://user:password@mail.example",
    "TOCSIN_LOG_FORMAT": "json",
    "TOCSIN_API_KEY": "tocsin_admin",
    "AWS_SECRET_ACCESS_KEY": "of another program",
    "LC_ALL": "C.UTF-8",
}


@pytest.mark.attack(
    "read the environment of a program of the stack",
    before="each had every variable of the one who started it",
)
def test_each_program_gets_its_own_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    settings = Settings(data_dir=tmp_path, database_url=None)
    listening = Listening(pid=1, host="127.0.0.1", api=1, temporal=2, lab=3, workers={"worker": 4})
    programs = stack_programs(settings, None, listening, {})
    found = {each.name: set(GIVEN) & set(each.environment) for each in programs}
    secrets = {"TOCSIN_ENCRYPTION_KEY", "TOCSIN_DATABASE_URL", "TOCSIN_SMTP_URL"}
    usual = {"TOCSIN_LOG_FORMAT", "LC_ALL"}
    assert found == {
        "api": secrets | usual,
        "worker": secrets | usual,
        "lab": usual,
        "temporal": {"LC_ALL"},
    }
    [worker] = [each for each in programs if each.name == "worker"]
    assert worker.environment["TOCSIN_WORKER_METRICS_PORT"] == "4"
    assert all("PATH" in each.environment for each in programs)
