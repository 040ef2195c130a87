"""Rejected deliveries on the command line: listed, shown and replayed by a part of their id."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.harness.api_server import ApiServer
from tests.harness.commands import tocsin

SECRET = "a-secret-of-the-siem-itself"


def test_rejected_delivery_is_shown_saved_and_replayed(server: ApiServer, tmp_path: Path) -> None:
    here = ("--data-dir", server.settings.data_dir)
    (tmp_path / "secret").write_text(SECRET)
    add = ("source", "add", "broken", "--product", "wazuh", "--auth", "bearer")
    done = tocsin(*add, "--secret-file", tmp_path / "secret", *here)
    assert done.returncode == 0, done.stderr
    sent = httpx.post(
        f"{server.url}/v1/webhooks/broken",
        content=b'{"foo": "an alert of a new kind"}',
        headers={"authorization": f"Bearer {SECRET}", "content-type": "application/json"},
    )
    assert sent.status_code == 422
    _, line = tocsin("source", "rejected", "list", "broken", *here).stdout.splitlines()
    part = line.split()[0]
    body = tmp_path / "body"
    shown = tocsin("source", "rejected", "show", "broken", part, "--body-file", body, *here)
    assert shown.returncode == 0, shown.stderr
    assert body.read_bytes() == b'{"foo": "an alert of a new kind"}'
    again = tocsin("source", "rejected", "replay", "broken", part, *here)
    assert again.returncode == 1, again.stderr  # it still cannot be read, and stays
    about = tocsin("source", "show", "broken", *here).stdout
    assert "rejected deliveries that can be replayed: 1" in about
