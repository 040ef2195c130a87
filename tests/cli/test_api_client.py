"""The API client of commands: pages, problems, and answers that are not Tocsin's."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from orchestrator.cli.api_client import Api, InvalidRequest, Unauthenticated
from orchestrator.cli.tables import format_time
from orchestrator.domain.errors import Conflict, Forbidden, NotFound, Unavailable
from tests.harness.commands import tocsin

RECORDED = {
    "run_id": "run_1",
    "playbook": "block",
    "version": 1,
    "case": {"name": "a"},
    "tests": "playbook: block\n",
    "passes": False,
    "differences": ["status is failed, not completed"],
    "notes": ["a note"],
}
SHADOW = {
    "playbook": "block",
    "version": 4,
    "since": "2026-01-01T12:00:00Z",
    "until": None,
    "alerts": 40,
    "started_live": 40,
    "started_shadow": 40,
    "open": 1,
    "same": 40,
    "more": False,
    "groups": [],
}
PLACES = [{"place": "x.yaml", "message": "wrong", "line": 3}]
ANSWERS: dict[str, tuple[int, Any]] = {
    "/v1/runs": (200, {"items": [{"id": "run_1"}], "next": None}),
    "/v1/runs/run_1/case": (200, RECORDED),
    "/v1/shadows/block": (200, SHADOW),
    "/conflict": (409, {"detail": "it is open"}),
    "/forbidden": (403, {"title": "Forbidden"}),
    "/invalid": (422, {"detail": "wrong", "errors": PLACES}),
    "/down": (503, {"detail": "the database does not answer"}),
    "/html": (502, "<html>"),
    "/list": (200, "not JSON"),
}


class _Handler(BaseHTTPRequestHandler):
    """Answers those with the key as Tocsin's API does."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if self.headers["authorization"] != "Bearer a-key":
            status, body = 401, {"title": "Unauthorized"}
        elif parts.path == "/items":
            status, body = 200, self._page(parse_qs(parts.query))
        else:
            status, body = ANSWERS.get(parts.path, (404, {"detail": f"no {self.path}"}))
        self.send_response(status)
        self.end_headers()
        text = body if isinstance(body, str) else json.dumps(body)
        self.wfile.write(text.encode())

    def _page(self, query: dict[str, list[str]]) -> dict[str, Any]:
        """250 items, at most 100 at a time."""
        start = int(query.get("cursor", ["0"])[0])
        end = min(start + min(int(query["limit"][0]), 100), 250)
        items = [{"id": number} for number in range(start, end)]
        return {"items": items, "next": str(end) if end < 250 else None}

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


@pytest.fixture
def api(url: str) -> Iterator[Api]:
    with Api(url, "a-key") as client:
        yield client


@pytest.mark.parametrize(("limit", "count"), [(None, 250), (1, 1), (130, 130), (1000, 250)])
def test_items_are_collected_over_pages(api: Api, limit: int | None, count: int) -> None:
    assert [each["id"] for each in api.items("/items", limit)] == list(range(count))


@pytest.mark.parametrize(
    ("path", "error", "text"),
    [
        ("/missing", NotFound, "no /missing"),
        ("/conflict", Conflict, "it is open"),
        ("/forbidden", Forbidden, "Forbidden"),
        ("/down", Unavailable, "the database does not answer"),
        ("/html", Unavailable, "the API answered 502"),
        ("/list", Unavailable, "the answer is not JSON"),
    ],
)
def test_a_refusal_is_the_error_of_the_use_case_with_its_text(
    api: Api, path: str, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        api.get(path)


def test_an_invalid_document_keeps_its_places(api: Api) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        api.get("/invalid")
    assert refusal.value.places == PLACES


def test_an_unknown_key_differs_from_one_without_permission(url: str) -> None:
    with Api(url, "another-key") as api, pytest.raises(Unauthenticated):
        api.get("/items")


def test_an_api_that_does_not_answer_says_how_to_start_it() -> None:
    with Api("http://127.0.0.1:1", "a-key") as api, pytest.raises(Unavailable, match="tocsin up"):
        api.get("/items")


def test_a_run_is_recorded_with_its_notes_on_stderr(url: str) -> None:
    done = tocsin("run", "record", "run_1", "--url", url, TOCSIN_API_KEY="a-key")
    assert done.returncode == 1, "the case does not come out as the run did"
    assert done.stdout == "playbook: block\n"
    assert done.stderr == "a note\nstatus is failed, not completed\n"


def test_a_shadow_is_compared(url: str) -> None:
    done = tocsin(
        "shadow", "report", "block", "--since", "1d", "--url", url, TOCSIN_API_KEY="a-key"
    )
    assert done.returncode == 0, done.stderr
    assert f"block version 4: shadow since {format_time('2026-01-01T12:00:00Z')}" in done.stdout
