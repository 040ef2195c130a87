"""Fixtures of the command line: one API for all tests, and a configuration directory of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.api_server import ApiServer, api_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API without Temporal, shared by all tests: each uses names of its own."""
    with api_server(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture(autouse=True)
def _own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the contexts of the person who runs the tests, nor a data directory where they run."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the output that of a terminal with 100 columns, in Berlin."""
    with monkeypatch.context() as patch:
        patch.setenv("TTY_COMPATIBLE", "1")
        patch.setenv("COLUMNS", "100")
        patch.setenv("NO_COLOR", "1")
        patch.setenv("TERM", "dumb")
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()
