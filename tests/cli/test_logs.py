"""Logs of a service: one line per event, in the chosen form, without secrets and control codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = """
import logging
import structlog
from pathlib import Path
from orchestrator.logs import configure_logs
from orchestrator.settings import Settings

configure_logs(Settings.load(data_dir=Path("unused")), "worker")
log = structlog.get_logger("tocsin")
log.debug("too detailed")
log.info("worker started", task_queue="tocsin", run_id=None)
log.warning("hostile", title="line\\nwith \\x1b[31m colours \\u202e")
log.warning("key in a text", error="sent tocsin_0123456789abcdef_" + "ab" * 32 + " and Bearer s3cret-t0ken")
with structlog.contextvars.bound_contextvars(request_id="r1"):
    log.info("with context")
    try:
        raise ValueError("the password is hunter2")
    except ValueError as error:
        log.error("it failed", exc_info=error)
        logging.getLogger("library").exception("a library failed: %s", "why")
logging.getLogger("httpx").info("HTTP Request: GET https://a.example/?token=hunter2")
"""


def lines(**variables: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=Path(__file__).parents[2],
        env={"PATH": "/usr/bin", **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_json_lines_have_time_level_event_service_and_context() -> None:
    found: list[dict[str, Any]] = [json.loads(line) for line in lines(TOCSIN_LOG_FORMAT="json")]
    assert [each["event"] for each in found] == [
        "worker started",
        "hostile",
        "key in a text",
        "with context",
        "it failed",
        "a library failed: why",
    ]
    assert all(list(each)[:3] == ["time", "level", "event"] for each in found)
    assert all(each["time"].endswith("Z") and each["service"] == "worker" for each in found)
    assert [each.get("request_id") for each in found] == [None] * 3 + ["r1"] * 3
    assert [each.get("exception") for each in found] == [None] * 4 + ["ValueError"] * 2
    assert found[4]["where"][-1].startswith("<string>:")


def test_text_lines_are_printable_and_one_per_event() -> None:
    found = lines()
    assert len(found) == 6
    assert " info worker started task_queue=tocsin service=worker" in found[0]
    assert "run_id" not in found[0]
    assert all(line.isprintable() for line in found)
    assert "request_id=r1" in found[4]
    assert "exception=ValueError" in found[4]


def test_secrets_and_the_texts_of_exceptions_are_in_no_line() -> None:
    for form in ("json", "text"):
        found = "\n".join(lines(TOCSIN_LOG_FORMAT=form, TOCSIN_LOG_LEVEL="debug"))
        for secret in ("hunter2", "s3cret-t0ken", "ab" * 32):
            assert secret not in found
        assert "tocsin_0123456789abcdef_***" in found


def test_level_of_the_settings_leaves_lines_out() -> None:
    assert len(lines(TOCSIN_LOG_LEVEL="error")) == 2
