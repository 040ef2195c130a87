"""Do commands that read the data directory read an installation that is elsewhere just as well, with `--url`?"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from typer.testing import CliRunner

from orchestrator.cli.app import app

CASE = {
    "run_id": "run_1",
    "playbook": "block",
    "version": 1,
    "case": {"name": "a"},
    "tests": "playbook: block\n",
    "passes": False,
}
ANSWERS = {
    "/v1/runs/run_1/case": {**CASE, "differences": ["status is failed, not completed"], "notes": ["a note"]},
    "/v1/shadow/block?since=1d": {
        "playbook": "block", "version": 4, "since": "2026-01-01T12:00:00Z", "until": None, "alerts": 40, "started_live": 40,
        "started_shadow": 40, "open": 1, "same": 40, "more": False, "groups": [],
    },
}  # fmt: skip


class _Api(BaseHTTPRequestHandler):
    """Answers those with the key as ours does."""

    def do_GET(self) -> None:
        found = ANSWERS.get(self.path) if self.headers["authorization"] == "Bearer a-key" else None
        self.send_response(200 if found else 404)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(found or {"detail": f"there is no {self.path}"}).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Not among the output of the tests."""


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TOCSIN_API_KEY", "a-key")
    with HTTPServer(("127.0.0.1", 0), _Api) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def test_a_run_is_recorded_from_afar(url: str) -> None:
    done = CliRunner().invoke(app, ["playbook", "record", "run_1", "--url", url])
    assert done.exit_code == 1, "it does not come out as the run did"
    assert done.stdout == "playbook: block\n"
    assert done.stderr == "a note\nstatus is failed, not completed\n"


def test_a_shadow_is_compared_from_afar(url: str) -> None:
    done = CliRunner().invoke(app, ["shadow", "report", "block", "--since", "1d", "--url", url])
    assert done.exit_code == 0, done.output
    assert "block version 4 as a shadow since 2026-01-01 12:00 UTC" in done.stdout
