"""The files that an alert and a decision pass, in order: `python -m tests.architecture.walk`.

The walk is traced: an API and a worker run in this process on a bundled Temporal server, an alert
is posted to the webhook, and the trace keeps each project file at its first call. `docs/walk.md`
names these files; a test compares the two, and `--write` writes the lists of the page.
"""

from __future__ import annotations

import asyncio
import re
import socket
import sys
import sysconfig
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import uvicorn
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from api.app import create_app
from connectors.lab import lab_app
from orchestrator.domain.run import RunStatus
from orchestrator.engine.temporal.client import connect
from orchestrator.first_start import prepare
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.queries import runs
from orchestrator.worker import make_worker
from tests.harness.people import new_key

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "walk.md"
TEMPORAL = Path(sysconfig.get_path("scripts")) / "temporal"
SECRET = "a-secret-that-is-long-enough"

ROOMS = ("api/", "orchestrator/", "connectors/")
EVERYWHERE = (
    "orchestrator/domain/",
    "orchestrator/crypto/",
    "orchestrator/store/",
    "orchestrator/playbook/language/",
    "orchestrator/runtime.py",
    "orchestrator/settings/",
    "orchestrator/worker.py",
    "orchestrator/first_start.py",
    "orchestrator/incidents/trail_alarm.py",
    "orchestrator/incidents/trail_health.py",
    "connectors/lab.py",
    "connectors/pool.py",
    "connectors/registry.py",
    "connectors/capabilities/",
)
"""Rooms that the page leaves out: nouns, the store, the language, what starts a process, and what
watches the trail every second, whether an alert comes or not.
"""
ENTERED = (
    "api/protocol/",
    "connectors/palo_alto/",
    "connectors/sdk/",
    "orchestrator/assets/",
    "orchestrator/audit/",
    "orchestrator/connections/",
    "orchestrator/intake/normalize/",
    "orchestrator/intake/parsers/",
    "orchestrator/playbook/",
    "orchestrator/policy/",
    "orchestrator/registry/",
)
"""Rooms that the page names as one place: a reader of the walk need not enter them."""
_EMULATOR = re.compile(r"connectors/.*emulator|connectors/sdk/faults")
_LISTED = re.compile(r"^\d+\. `([^`]+)`", re.MULTILINE)
ALERT, DECISION = "An alert, from the webhook to the blocked address", "A decision"


@dataclass
class Trace:
    """The project files in the order of their first call, and the calls from one file to another."""

    files: dict[str, None] = field(default_factory=dict)
    hops: set[tuple[str, str]] = field(default_factory=set)
    on: bool = False

    @property
    def places(self) -> list[str]:
        """The files in the order of their first call; a room that is named as one place, once."""
        return list(dict.fromkeys(_place(file) for file in self.files))

    def cut(self) -> Trace:
        """Return what was traced so far, and start again."""
        part = Trace(self.files, self.hops)
        self.files, self.hops = {}, set()
        return part

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or not self.on or (file := _room(frame)) is None:
            return
        if frame.f_code.co_name in {"<module>", "<lambda>"}:
            return
        self.files.setdefault(file)
        caller = _room(frame.f_back) if frame.f_back else None
        if caller is not None and caller != file:
            self.hops.add((caller, file))


def _place(file: str) -> str:
    return next((room for room in ENTERED if file.startswith(room)), file)


def _room(frame: FrameType) -> str | None:
    """Return the file of a frame, relative to the root; None for a file that the walk leaves out."""
    name = frame.f_code.co_filename
    if not name.startswith(str(ROOT)):
        return None
    file = name[len(str(ROOT)) + 1 :]
    if not file.startswith(ROOMS) or file.startswith(EVERYWHERE) or _EMULATOR.match(file):
        return None
    return file


@contextmanager
def traced() -> Iterator[Trace]:
    """Trace this thread and every thread that starts in the block."""
    trace = Trace()
    threading.setprofile(trace)
    sys.setprofile(trace)
    try:
        yield trace
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


@dataclass
class Stack:
    """An API with an administrator's key, and a client for the webhook."""

    rt: Runtime
    admin: httpx.AsyncClient
    sender: httpx.AsyncClient


@asynccontextmanager
async def stack(folder: Path) -> AsyncIterator[Stack]:
    """Run an API and a worker in this process, with the lab on a loopback port."""
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(TEMPORAL), dev_server_log_level="never"
    )
    async with environment, _lab() as lab_url:
        address = environment.client.service_client.config.target_host
        settings = Settings.load(data_dir=folder / "data", temporal_address=address)
        rt = open_runtime(settings)
        try:
            await prepare(rt, lab_url)
            client = await connect(rt)
            async with make_worker(rt, client):
                key = settings.admin_key_path.read_text("ascii").strip()
                async with _api(rt, client, key) as clients:
                    yield clients
        finally:
            await rt.close()


@asynccontextmanager
async def _api(rt: Runtime, client: Client, key: str) -> AsyncIterator[Stack]:
    transport = httpx.ASGITransport(create_app(rt, lambda: client))
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://tocsin", headers=headers) as admin,
        httpx.AsyncClient(transport=transport, base_url="http://tocsin") as sender,
    ):
        yield Stack(rt, admin, sender)


@asynccontextmanager
async def _lab() -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(lab_app(), log_level="error", lifespan="off", ws="none"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


async def walk(folder: Path) -> tuple[Trace, Trace]:
    """Return the trace of an alert until its address is blocked, and that of a decision."""
    with traced() as trace:
        async with stack(folder) as tocsin:
            await _publish(tocsin, "walk-block", approve="")
            await _publish(tocsin, "walk-ask", approve=_APPROVE)
            source = {"name": "edge", "product": "generic", "scheme": "bearer", "secret": SECRET}
            source |= {"mapping": _MAPPING}
            (await tocsin.admin.post("/v1/sources", json=source)).raise_for_status()
            made = await new_key(tocsin.admin, "ann", "approver")
            trace.on = True
            run = await _send(tocsin, "walk-block", "198.51.100.7")
            await _until(tocsin, run, RunStatus.COMPLETED)
            alert = trace.cut()
            trace.on = False
            run = await _send(tocsin, "walk-ask", "198.51.100.8")
            approval = await _asked(tocsin, run)
            trace.on = True
            answer = {"decision": "approve", "digest": approval["digest"]}
            headers = {"Authorization": f"Bearer {made['token']}"}
            path = f"/v1/approvals/{approval['id']}/decide"
            reply = await tocsin.sender.post(path, json=answer, headers=headers)
            reply.raise_for_status()
            await _until(tocsin, run, RunStatus.COMPLETED)
            decision = trace.cut()
            trace.on = False
    return alert, decision


_MAPPING = {
    "dedup_key": "id",
    "title": "rule",
    "rule": "rule",
    "severity": "severity",
    "class": "class",
    "remote_address": "remote",
}
_APPROVE = "approve: {question: Block it?, within: 5m}"
_PLAYBOOK = """\
playbook: NAME
version: 1
title: Block an address
owner: soc
trigger:
  when: alert.rule == 'NAME' and alert.remote is not none and alert.remote.address is not none
steps:
  - id: block
    use: firewall.block_address
    with: {address: "${{ alert.remote.address }}"}
    for: 1h
    APPROVE
"""


async def _publish(tocsin: Stack, name: str, approve: str) -> None:
    text = _PLAYBOOK.replace("NAME", name).replace("    APPROVE\n", f"    {approve}\n")
    reply = await tocsin.admin.post("/v1/playbooks", json={"text": text})
    reply.raise_for_status()


async def _send(tocsin: Stack, rule: str, address: str) -> str:
    headers = {"Authorization": f"Bearer {SECRET}"}
    alert = {
        "id": rule,
        "rule": rule,
        "class": "scan",
        "severity": "high",
        "remote": address,
    }
    reply = await tocsin.sender.post("/v1/webhooks/edge", json=alert, headers=headers)
    reply.raise_for_status()
    return str(reply.json()["run_ids"][0])


async def _asked(tocsin: Stack, run: str) -> dict[str, Any]:
    """Wait until the run asks, and return the approval."""
    while True:
        reply = await tocsin.admin.get(f"/v1/approvals?state=pending&run_id={run}")
        if items := reply.raise_for_status().json()["items"]:
            return dict(items[0])
        await asyncio.sleep(0.02)


async def _until(tocsin: Stack, run_id: str, status: RunStatus) -> None:
    """Wait in the store, which the walk leaves out, until the run has this status."""
    while True:
        async with tocsin.rt.store.read() as session:
            row = await runs.get(session, run_id)
        if row is not None and row.status == status:
            return
        if row is None or not RunStatus(row.status).open:
            message = f"the run ended as {row and row.status}: {row and row.error}"
            raise RuntimeError(message)
        await asyncio.sleep(0.02)


def listed(heading: str) -> list[str]:
    """Return the files that the page lists under a heading, in order."""
    text = PAGE.read_text(encoding="utf-8")
    part = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return _LISTED.findall(part)


def listing(trace: Trace) -> str:
    """Return the numbered list of a walk: each place with the first line of its docstring."""
    rows = [f"{number}. `{place}`: {_holds(place)}" for number, place in _numbered(trace)]
    return "\n".join(rows)


def _numbered(trace: Trace) -> Iterator[tuple[int, str]]:
    return enumerate(trace.places, start=1)


def _holds(place: str) -> str:
    path = ROOT / place / "__init__.py" if place.endswith("/") else ROOT / place
    return path.read_text("utf-8").partition('"""')[2].partition('"""')[0].partition("\n")[0]


def _write(alert: Trace, decision: Trace) -> None:
    text = PAGE.read_text(encoding="utf-8")
    for heading, trace in ((ALERT, alert), (DECISION, decision)):
        before, mark, rest = text.partition(f"\n## {heading}\n")
        _, following, after = rest.partition("\n## ")
        text = f"{before}{mark}\n{listing(trace)}\n{following}{after}"
    PAGE.write_text(text, encoding="utf-8")


def main() -> int:
    """Print both walks; with `--write`, write them to the page."""
    with tempfile.TemporaryDirectory() as folder:
        alert, decision = asyncio.run(asyncio.wait_for(walk(Path(folder)), 120))
    for name, trace in (("alert", alert), ("decision", decision)):
        print(
            f"{name}: {len(trace.places)} places, {len(trace.files)} files, {len(trace.hops)} hops"
        )
        for file in trace.files:
            print(f"  {file}")
    if "--write" in sys.argv:
        _write(alert, decision)
    return 0


if __name__ == "__main__":
    sys.exit(main())
