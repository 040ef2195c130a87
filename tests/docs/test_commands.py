"""The commands in the documentation do what it says: each is run, on a data directory of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from orchestrator.cli.stack.ports import choose
from tests.harness.doc_blocks import ROOT, Block, of

pytestmark = pytest.mark.stack

ALERT = ROOT / "playbooks/c2-beacon-containment/alerts/suricata-cobalt-strike.json"
SECRET = "a-secret-of-the-documentation"


@dataclass
class Place:
    """Where commands are run. `environment` holds what a person has exported."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        program = (
            [sys.executable, "-P", "-m", "orchestrator.cli", *command[1:]]
            if command[0] == "tocsin"
            else command
        )
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")
        }
        return subprocess.run(
            program,
            cwd=self.folder,
            env={**clean, **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def commands(block: Block) -> list[list[str]]:
    return [
        shlex.split(line, comments=True)
        for line in block.text.replace("\\\n", " ").splitlines()
        if line.strip()
    ]


@pytest.mark.parametrize(
    "page", sorted({block.page for block in of("bash tocsin") if block.kind == "bash tocsin"})
)
def test_the_commands_of_a_page_succeed_one_after_the_other(page: str, stack: Place) -> None:
    for block in of("yaml playbook"):
        if block.page == page:
            name = block.text.split()[1]  # each page calls the file as the playbook is called
            (stack.folder / f"{name}.yaml").write_text(block.text, "utf-8")
    for block in of("bash tocsin"):
        if block.page == page and block.kind == "bash tocsin":
            for command in commands(block):
                done = stack.run(command)
                assert done.returncode == 0, (
                    f"{block}: {shlex.join(command)}\n{done.stdout}\n{done.stderr}"
                )


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """What `tocsin up` of the documentation starts, with the lab, so that there is something to look at."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")
    place = Place(tmp_path_factory.mktemp("docs"))
    (command,) = [command for block in of("bash tocsin up") for command in commands(block)]
    port = str(choose("127.0.0.1"))
    command[command.index("--port") + 1] = port
    url = f"http://127.0.0.1:{port}"
    with (place.folder / "up.log").open("wb") as log:
        started = subprocess.Popen(
            [sys.executable, "-P", "-m", "orchestrator.cli", *command[1:], "--lab"],
            cwd=place.folder,
            stdout=log,
            stderr=log,
        )
    try:
        _wait(lambda: httpx.get(f"{url}/readyz", timeout=2).status_code == 200, started)
        key = (place.folder / "tocsin-data" / "admin.key").read_text("utf-8").strip()
        place.environment = {"TOCSIN_URL": url, "TOCSIN_API_KEY": key}
        lead = place.run(["tocsin", "person", "change", "admin", "--add-group", "soc-leads"])
        assert lead.returncode == 0, lead.stderr  # the lab's policy asks this group
        yield place
    finally:
        started.terminate()
        started.wait(60)


@pytest.mark.parametrize(
    "block", [block for block in of("bash curl") if block.kind == "bash curl"], ids=str
)
def test_a_look_by_curl_is_answered(stack: Place, block: Block) -> None:
    done = stack.run(
        [
            "bash",
            "-e",
            "-o",
            "pipefail",
            "-c",
            block.text.replace("curl ", "curl -sS --fail-with-body "),
        ]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"items"' in done.stdout


@pytest.mark.parametrize("block", of("bash curl write"), ids=str)
def test_a_write_by_curl_succeeds(stack: Place, block: Block) -> None:
    script = block.text.replace("curl ", "curl -sS --fail-with-body ")
    done = stack.run(["bash", "-e", "-o", "pipefail", "-c", script])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("block", of("bash approval"), ids=str)
def test_an_approval_by_curl_is_taken(stack: Place, block: Block) -> None:
    (stack.folder / "secret").write_text(SECRET, "utf-8")
    added = stack.run(
        [
            "tocsin",
            "source",
            "add",
            "sensor",
            "--product",
            "suricata",
            "--auth",
            "bearer",
            "--secret-file",
            "secret",
        ]
    )
    assert added.returncode == 0, added.stderr
    url, key = (
        stack.environment["TOCSIN_URL"],
        {"authorization": f"Bearer {stack.environment['TOCSIN_API_KEY']}"},
    )
    sent = httpx.post(
        f"{url}/v1/webhooks/sensor",
        content=ALERT.read_bytes(),
        headers={"authorization": f"Bearer {SECRET}"},
    )
    assert sent.status_code == 202, sent.text
    found: list[dict[str, str]] = []

    def asked() -> bool:
        found[:] = httpx.get(
            f"{url}/v1/approvals", params={"state": "pending"}, headers=key
        ).json()["items"]
        return bool(found)

    _wait(asked)
    stack.environment |= {"APPROVAL": found[0]["id"], "DIGEST": found[0]["digest"]}
    done = stack.run(
        ["bash", "-e", "-c", block.text.replace("curl ", "curl -sS --fail-with-body ")]
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _wait(condition: object, process: subprocess.Popen[bytes] | None = None) -> None:
    until = time.monotonic() + 180
    while time.monotonic() < until:
        assert process is None or process.poll() is None, "it has ended"
        try:
            if condition():  # type: ignore[operator]
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)  # a poll of another process, which tells us nothing by itself
    pytest.fail("it did not come to that within three minutes")
