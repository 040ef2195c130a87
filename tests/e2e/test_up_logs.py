"""The logs of a whole stack: JSON with ids, and none of the secrets that passed through it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.harness.stack import Stack, attack_from, tocsin, until

pytestmark = pytest.mark.stack

PLANTED = {
    "query": "planted-in-a-query",
    "path": "planted-in-a-path",
    "body": "planted-in-a-body",
    "header": "planted-in-a-header",
    "credential": "planted-as-a-credential",
    "webhook": "planted-as-a-webhook-secret",
    "setting": "planted-in-a-setting",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(
        tmp_path_factory.mktemp("logs") / "data",
        TOCSIN_LOG_FORMAT="json",
        TOCSIN_LOG_LEVEL="debug",
        TOCSIN_SMTP_URL=f"smtp://u:{PLANTED['setting']}@127.0.0.1:9",
        TOCSIN_MAIL_FROM="soc@corp.example",
        TOCSIN_PUBLIC_URL="https://tocsin.corp.example",
    )
    stack.start()
    yield stack
    stack.end()


def _lines(stack: Stack, service: str) -> list[dict[str, Any]]:
    """The complete lines of a log; the last one may still be written."""
    text = (stack.folder / "logs" / f"{service}.log").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def test_run_can_be_followed_from_request_to_activity_and_no_secret_is_logged(
    stack: Stack,
) -> None:
    secret, base = stack.source("edge"), f"http://127.0.0.1:{stack.port}"
    accepted = stack.send("edge", secret, attack_from("203.0.113.10"))
    run = stack.run_of(accepted.json())
    _send_secrets(stack, base)
    _add_connection_with_wrong_credential(stack)

    def answered() -> list[dict[str, Any]]:
        return [each for each in _lines(stack, "api") if each.get("run_ids") == [run["id"]]]

    [line] = until(answered, 20, "the line of the webhook")
    assert line["request_id"] == accepted.headers["x-request-id"]
    assert (line["alert_id"], line["source"]) == (accepted.json()["alert_id"], "edge")
    assert (line["method"], line["status"]) == ("POST", 202)
    assert [each for each in _lines(stack, "worker") if each["event"] == "worker started"]
    for service in ("api", "worker", "lab", "temporal"):
        assert all({"level", "time"} <= set(each) for each in _lines(stack, service))
    logs = "".join(path.read_text("utf-8") for path in (stack.folder / "logs").iterdir())
    logs += stack.output.read_text("utf-8")
    admin = (stack.folder / "admin.key").read_text().strip()
    for planted in (*PLANTED.values(), secret, admin, admin.rpartition("_")[2]):
        assert planted not in logs
    assert "\x1b" not in logs


def _send_secrets(stack: Stack, base: str) -> None:
    admin = {"Authorization": f"Bearer {(stack.folder / 'admin.key').read_text().strip()}"}
    httpx.get(f"{base}/v1/runs", params={"token": PLANTED["query"]}, headers=admin)
    httpx.get(f"{base}/v1/runs/{PLANTED['path']}", headers=admin)
    httpx.get(f"{base}/v1/nothing/{PLANTED['path']}", headers=admin)
    httpx.post(f"{base}/v1/connections", json={"x": PLANTED["body"]}, headers=admin)
    httpx.get(f"{base}/v1/runs", headers={"Authorization": f"Bearer {PLANTED['header']}"})
    stack.send("edge", PLANTED["webhook"], attack_from("203.0.113.11"))


def _add_connection_with_wrong_credential(stack: Stack) -> None:
    done = tocsin(
        "connection",
        "add",
        "firewall-2",
        "--connector",
        "palo_alto",
        "--set",
        f"base_url=http://127.0.0.1:{stack.listening['lab']}/palo_alto",
        "--secret-env",
        "api_key=PLANTED_KEY",
        "--data-dir",
        stack.folder,
        PLANTED_KEY=PLANTED["credential"],
    )
    assert done.returncode != 0
    assert PLANTED["credential"] not in done.stdout + done.stderr
