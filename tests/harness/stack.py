"""A stack that a test starts with `tocsin up`, and observes from outside."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
TOCSIN = (sys.executable, "-P", "-m", "orchestrator.cli")
CROWDSEC = (ROOT / "playbooks/brute-force-block/alerts/crowdsec-ssh.json").read_bytes()
FINAL = {"completed", "failed", "declined", "rolled_back", "cancelled"}


def until(ready: Callable[[], Any], within: float = 60, what: str = "the condition") -> Any:
    """Return the first true result of `ready`; a failed request counts as none."""
    deadline = time.monotonic() + within
    while True:
        try:
            found = ready()
        except httpx.HTTPError:
            found = None
        if found:
            return found
        assert time.monotonic() < deadline, f"{what} did not become true within {within:.0f} s"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(**more: str) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")},
        **more,
    }


def tocsin(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*TOCSIN, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        env=environment(**more),
        check=False,
    )


class Stack:
    """`tocsin up --lab` on a data directory."""

    def __init__(self, folder: Path, *options: str, **variables: str) -> None:
        self.folder, self.port, self._variables = folder, free_port(), variables
        self._options = options
        self.process: subprocess.Popen[str] | None = None
        self.output = folder.with_suffix(".out")

    def start(self) -> None:
        command = [*TOCSIN, "up", "--lab", "--data-dir", str(self.folder), "--port", str(self.port)]
        command += self._options
        with self.output.open("w") as out:
            self.process = subprocess.Popen(
                command,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=environment(**self._variables),
                start_new_session=True,
            )
        until(self._ready, 240, "ready")

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.output.read_text()
        return "ready" in self.output.read_text().splitlines()

    def end(self) -> float:
        """Send SIGTERM, and return how many seconds the end took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.terminate()
        self.process.wait(60)
        return time.monotonic() - began

    def kill(self) -> None:
        """Kill the supervisor."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(60)

    def children(self) -> dict[str, int]:
        """Return the process ids of the supervised processes by name."""
        assert self.process is not None
        found = {}
        for pid in (
            Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
                variables = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
            except (FileNotFoundError, ProcessLookupError):  # ended since
                continue
            if len(words) > 4 or words[0].endswith("temporal"):
                name = "temporal" if words[0].endswith("temporal") else words[4]
                found[self._worker(variables) if name == "worker" else name] = int(pid)
        return found

    def _worker(self, variables: list[str]) -> str:
        """Return which worker has this environment: each serves its metrics on its own port."""
        ports = self.listening["workers"]
        return next(
            name for name in ports if f"TOCSIN_WORKER_METRICS_PORT={ports[name]}" in variables
        )

    def kill_child(self, name: str) -> None:
        """Kill a child, and wait until it is restarted."""
        before = self.children()[name]
        os.kill(before, signal.SIGKILL)
        until(lambda: self.children().get(name, before) != before, 30, f"another {name}")

    @property
    def listening(self) -> dict[str, Any]:
        return json.loads((self.folder / "up.json").read_text())

    def get(self, path: str, **query: Any) -> Any:
        key = (self.folder / "admin.key").read_text().strip()
        reply = httpx.get(
            f"http://127.0.0.1:{self.port}{path}",
            params=query,
            headers={"Authorization": f"Bearer {key}"},
            timeout=20,
        )
        if reply.is_server_error:
            raise httpx.HTTPError(reply.text)
        return reply.raise_for_status().json()

    def lab(self) -> dict[str, Any]:
        return (
            httpx.get(f"http://127.0.0.1:{self.listening['lab']}/_lab/state", timeout=20)
            .raise_for_status()
            .json()
        )

    def source(self, name: str, product: str = "crowdsec") -> str:
        """Add a source, and return its bearer secret."""
        made = tocsin(
            "source",
            "add",
            name,
            "--product",
            product,
            "--auth",
            "bearer",
            "--data-dir",
            self.folder,
        )
        assert made.returncode == 0, made.stderr
        return made.stdout.split()[-1]

    def send(self, source: str, secret: str, body: bytes) -> httpx.Response:
        headers = {"Authorization": f"Bearer {secret}"}
        return httpx.post(
            f"http://127.0.0.1:{self.port}/v1/webhooks/{source}",
            content=body,
            headers=headers,
            timeout=20,
        )

    def run_of(self, accepted: dict[str, Any]) -> dict[str, Any]:
        """Return the run of an accepted alert, once it has ended."""
        return until(
            lambda: ended(self.get("/v1/runs", incident_id=accepted["incident_id"]), accepted),
            90,
            "the end of the run",
        )


def ended(runs: dict[str, Any], accepted: dict[str, Any]) -> dict[str, Any] | None:
    """Return the run of an accepted alert, if it has ended."""
    for run in runs["items"]:
        if run["alert_id"] == accepted["alert_id"] and run["status"] in FINAL:
            return run
    return None


def attack_from(address: str) -> bytes:
    """Return the brute-force alert, from another attacker."""
    return CROWDSEC.replace(b"203.0.113.9", address.encode()).replace(
        b"1f0ad7b2-5a6e-4a52-b12f-0f6f5d6d9a01", str(uuid.uuid4()).encode()
    )
