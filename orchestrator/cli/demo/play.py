"""The course of the demo: stack, sources, alerts, decisions, a lease that ends, account."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from rich.console import Console

from orchestrator.cli.api_client import Api
from orchestrator.cli.commands.administer.audit import save_export
from orchestrator.cli.demo.account import DemoAccount, SentAlert
from orchestrator.cli.demo.api import RetryingApi
from orchestrator.cli.demo.backtest import backtest_draft
from orchestrator.cli.demo.people import DemoPeople
from orchestrator.cli.demo.script import ScriptLine, load_script
from orchestrator.cli.demo.sender import Sender
from orchestrator.cli.demo.stack import demo_stack, prepare_folder
from orchestrator.cli.output import print_line
from orchestrator.cli.stack.ports import Listening
from orchestrator.crypto.signing import load_public_key
from orchestrator.domain.errors import TocsinError, Unavailable
from orchestrator.domain.run import RunStatus
from orchestrator.intake.authenticate import generate_secret

_ENDED_WITHIN = 240.0  # seconds for all runs to end; a killed process costs some
_RELEASED_WITHIN = 90.0  # seconds
_EXPORTED_WITHIN = 60.0  # seconds
_LEASED = "198.51.100.91"  # of no alert: a shared containment would outlive the short lease


async def play(folder: Path, *, keep: bool, port: int | None = None) -> bool:
    """Play the demo, and return whether everything came out as the script says."""
    began = time.monotonic()
    prepare_folder(folder)
    print_line(f"starting the stack (data and logs: {folder}/)")
    async with demo_stack(folder, keep=keep, port=port, report=print_line) as listening:
        seconds = time.monotonic() - began
        print_line(f"ready after {seconds:.1f} s: API {listening.api_url}, lab {listening.lab_url}")
        good = await _play(folder, listening)
        result = "as expected" if good else "NOT as expected"
        print_line(f"{result}, after {time.monotonic() - began:.0f} s")
    if keep:
        print_line(
            f"the stack keeps running: API {listening.api_url} (admin key: {folder}/admin.key), "
            f"lab {listening.lab_url}/_lab/state"
        )
        print_line(f"end it with: kill {listening.pid}")
    return good


@dataclass(slots=True)
class _Scene:
    """What the steps of the demo share."""

    admin: RetryingApi
    admin_key: str
    lab: RetryingApi
    products: RetryingApi
    """Without a key: alerts are authenticated by their source's scheme."""
    lines: list[ScriptLine]
    sent: list[SentAlert] = field(default_factory=list)


async def _play(folder: Path, listening: Listening) -> bool:
    key = (folder / "admin.key").read_text("ascii").strip()
    async with AsyncExitStack() as stack:

        async def client(url: str, key: str | None = None) -> RetryingApi:
            return await stack.enter_async_context(RetryingApi(url, key, listening.trust))

        admin = await client(listening.api_url, key)
        lab = await client(listening.lab_url or "")
        products = await client(listening.api_url)
        scene = _Scene(admin, key, lab, products, load_script())
        approvers = [
            await client(listening.api_url, await _create_key(admin, name))
            for name in ("ada", "ben")
        ]
        people = DemoPeople(admin, approvers, lambda run: _choose(scene, run), print_line)
        deciding = asyncio.create_task(people.decide())
        try:
            lease = await _start_lease(scene)
            await _send_all(scene)
            await _until(lambda: _ended(scene), _ENDED_WITHIN, "all runs have ended", deciding)
            await _until(
                lambda: _released(scene), _RELEASED_WITHIN, "the short lease has ended", deciding
            )
        finally:
            deciding.cancel()
            with suppress(asyncio.CancelledError, TocsinError):
                await deciding
        return await _account(scene, folder, people.decisions, lease)


async def _create_key(admin: RetryingApi, person: str) -> str:
    await admin.post("/v1/people", {"id": person})
    key = await admin.post("/v1/keys", {"person": person, "roles": ["analyst", "approver"]})
    received = await admin.post("/v1/enrolments", {"code": key["enrolment_code"]})
    return str(received["token"])


async def _start_lease(scene: _Scene) -> str:
    text = files("orchestrator.cli.demo").joinpath("lease.yaml").read_text("utf-8")
    await scene.admin.post("/v1/playbooks", {"text": text, "file": "lease.yaml"})
    body = {"playbook": "demo-short-lease", "inputs": {"address": _LEASED}}
    run = await scene.admin.post("/v1/runs", body)
    print_line(f"started   demo-short-lease by hand: {_LEASED} is blocked for 8 s")
    return str(run["id"])


async def _send_all(scene: _Scene) -> None:
    senders: dict[str, Sender] = {}
    for number, line in enumerate(scene.lines, 1):
        if line.source not in senders:
            secret = await _add_source(scene.admin, line)
            senders[line.source] = Sender(scene.products.client, line.source, line.auth, secret)
        answer = await senders[line.source].send(line.body)
        scene.sent.append(SentAlert(line=line, answer=answer))
        count = f"{number:2}/{len(scene.lines)}"
        print_line(f"alert {count}  {answer.status} {line.product} {line.short}")
    first = scene.lines[0]
    forged = Sender(scene.products.client, first.source, first.auth, SecretStr("a-forged-secret"))
    answer = await forged.send(first.body)
    scene.sent.append(SentAlert(line=None, answer=answer))
    print_line(f"alert       {answer.status} the first one again, with a forged credential")


async def _add_source(admin: RetryingApi, line: ScriptLine) -> SecretStr:
    secret = generate_secret(line.auth)
    body = {
        "name": line.source,
        "product": line.product,
        "scheme": line.auth.value,
        "secret": secret,
    }
    # 409: a request whose reply was lost has already added it, with this secret.
    await admin.post("/v1/sources", body, accept=(409,))
    return SecretStr(secret)


def _choose(scene: _Scene, run: dict[str, Any]) -> str:
    """Return the script's decision on a run; an unexpected approval is declined."""
    for sent in scene.sent:
        if sent.line is not None and run["alert_id"] in sent.alert_ids and sent.line.answer:
            return sent.line.answer
    return "decline"


async def _ended(scene: _Scene) -> bool:
    runs = await scene.admin.items("/v1/runs")
    alerts = {run["alert_id"] for run in runs}
    started = all(
        alert in alerts
        for sent in scene.sent
        if sent.line and sent.line.triggered
        for alert in sent.alert_ids
    )
    return started and not any(RunStatus(run["status"]).open for run in runs)


async def _released(scene: _Scene) -> bool:
    found = await scene.admin.items("/v1/containments", state="all")
    return any(item["target"]["value"] == _LEASED and item["state"] == "lifted" for item in found)


async def _until(
    ready: Callable[[], Awaitable[bool]], within: float, what: str, deciding: asyncio.Task[None]
) -> None:
    """Wait for a condition. If it does not become true, the account says what is missing."""
    deadline = time.monotonic() + within
    while not await ready():
        if deciding.done():
            deciding.result()  # an error of the people ends the demo
        if time.monotonic() > deadline:
            print_line(f"waited {within:.0f} s until {what}; continuing without")
            return
        await asyncio.sleep(0.25)


async def _account(scene: _Scene, folder: Path, decisions: dict[str, str], lease: str) -> bool:
    export = folder / "audit.jsonl"
    await _export(scene, export)
    runs = await scene.admin.items("/v1/runs")
    account = DemoAccount(
        sent=scene.sent,
        runs=[await scene.admin.get(f"/v1/runs/{run['id']}") for run in runs],
        decisions=decisions,
        containments=await scene.admin.items("/v1/containments", state="all"),
        lab=await scene.lab.get("/_lab/state"),
        export=export,
        public_key=load_public_key(folder / "audit.pub"),
        lease_run=lease,
    )
    print_line("\nA draft, played over these alerts")
    for line in await backtest_draft(scene.admin, folder / "backtest.html"):
        print_line(f"  {line}")
    return account.show(Console(highlight=False, soft_wrap=True))


async def _export(scene: _Scene, file: Path) -> None:
    deadline = time.monotonic() + _EXPORTED_WITHIN
    url, trust = str(scene.admin.client.base_url), scene.admin.trust
    with Api(url, scene.admin_key, trust) as api:
        while True:
            try:
                await asyncio.to_thread(save_export, api, file)
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.3)
            else:
                return
