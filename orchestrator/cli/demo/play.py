"""In which order does the demo go? Stack, sources, people, alerts, answers, a lease that ends, and the account of it all."""

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

from orchestrator.access import keys
from orchestrator.audit.sealer import export_trail
from orchestrator.cli.demo import stack as demo_stack
from orchestrator.cli.demo.account import Account, Sent
from orchestrator.cli.demo.api import Api
from orchestrator.cli.demo.backtest import tried_on_them
from orchestrator.cli.demo.people import People
from orchestrator.cli.demo.script import Line, script
from orchestrator.cli.demo.sender import Sender
from orchestrator.cli.output import say
from orchestrator.cli.stack.ports import Listening
from orchestrator.domain.access import Role
from orchestrator.domain.errors import TocsinError
from orchestrator.domain.run import RunStatus
from orchestrator.intake import sources
from orchestrator.registry import playbooks
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings

_ENDED_WITHIN = 240.0  # seconds for all runs to end; a kill in between costs some
_RELEASED_WITHIN = 90.0
_ACTOR = "person:demo"
_LEASED = "198.51.100.91"  # of no alert: a shared containment would outlive the short lease


async def play(folder: Path, *, keep: bool) -> bool:
    """Whether everything came out as the script says."""
    began = time.monotonic()
    demo_stack.fresh(folder)
    say(f"starting the stack (data and logs: {folder}/)")
    async with demo_stack.running(folder, keep=keep, say=say) as listening:
        say(
            f"up after {time.monotonic() - began:.1f} s: API {listening.api_url}, lab {listening.lab_url}"
        )
        good = await _play(folder, listening)
        say(
            f"{'all as expected' if good else 'NOT as expected'}, after {time.monotonic() - began:.0f} s"
        )
    if keep:
        say(
            f"the stack stays up: API {listening.api_url} (admin key: {folder}/admin.key), lab {listening.lab_url}/_lab/state"
        )
        say(f"end it with: kill {listening.pid}")
    return good


@dataclass(slots=True)
class _Scene:
    """What the steps of the demo share."""

    runtime: Runtime
    admin: Api
    lab: Api
    products: Api  # without a key: alerts prove by themselves who sent them
    lines: list[Line]
    sent: list[Sent] = field(default_factory=list)


async def _play(folder: Path, listening: Listening) -> bool:
    lines = script()
    async with AsyncExitStack() as stack:
        runtime = open_runtime(Settings(data_dir=folder, port=listening.api))
        stack.push_async_callback(runtime.close)
        people = [
            await stack.enter_async_context(Api(listening.api_url, await _key(runtime, name)))
            for name in ("ada", "ben")
        ]
        admin = await stack.enter_async_context(
            Api(listening.api_url, (folder / "admin.key").read_text("ascii").strip())
        )
        lab = await stack.enter_async_context(Api(listening.lab_url or ""))
        products = await stack.enter_async_context(Api(listening.api_url))
        scene = _Scene(runtime, admin, lab, products, lines)
        answering = People(admin, people, lambda run: _wanted(scene, run), say)
        task = asyncio.create_task(answering.answer())
        try:
            lease = await _start_lease(scene)
            await _send_all(scene)
            await _until(lambda: _ended(scene), _ENDED_WITHIN, "runs end", task)
            await _until(
                lambda: _released(scene), _RELEASED_WITHIN, "the short lease is over", task
            )
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, TocsinError):
                await task
        return await _account(scene, folder, answering.asked, lease)


async def _key(runtime: Runtime, person: str) -> str:
    _, token = await keys.create_key(runtime, person, (Role.ANALYST, Role.APPROVER), actor=_ACTOR)
    return token.get_secret_value()


async def _start_lease(scene: _Scene) -> str:
    text = files("orchestrator.cli.demo").joinpath("lease.yaml").read_text("utf-8")
    await playbooks.publish_playbook(scene.runtime, text, "lease.yaml", actor=_ACTOR)
    run = await scene.admin.post(
        "/v1/runs", {"playbook": "demo-short-lease", "inputs": {"address": _LEASED}}
    )
    say(f"started   demo-short-lease by hand: {_LEASED} is blocked for 8 s")
    return str(run["id"])


async def _send_all(scene: _Scene) -> None:
    senders: dict[str, Sender] = {}
    for number, line in enumerate(scene.lines, 1):
        if line.source not in senders:
            senders[line.source] = Sender(
                scene.products.client, line.source, line.auth, await _source(scene.runtime, line)
            )
        answer = await senders[line.source].send(line.body)
        scene.sent.append(Sent(line=line, answer=answer))
        say(f"alert {number:2}/{len(scene.lines)}  {answer.status} {line.product} {line.short}")
    forged = Sender(
        scene.products.client,
        scene.lines[0].source,
        scene.lines[0].auth,
        SecretStr("a-secret-that-nobody-was-given"),
    )
    answer = await forged.send(scene.lines[0].body)
    scene.sent.append(Sent(line=None, answer=answer))
    say(f"alert       {answer.status} the first one once more, with a forged credential")


async def _source(runtime: Runtime, line: Line) -> SecretStr:
    _, secret = await sources.add_source(
        runtime, line.source, line.product, line.auth, actor=_ACTOR
    )
    if secret is None:
        message = f"source {line.source}: no secret was made"
        raise TocsinError(message)
    return secret


def _wanted(scene: _Scene, run: dict[str, Any]) -> str:
    """What the script answers about this run; a question that it does not foresee is declined, and shows in the account."""
    for sent in scene.sent:
        if sent.line is not None and run["alert_id"] in sent.alert_ids and sent.line.answer:
            return sent.line.answer
    return "decline"


async def _ended(scene: _Scene) -> bool:
    runs = await scene.admin.items("/v1/runs")
    seen = {run["alert_id"] for run in runs}
    started = all(
        alert in seen
        for sent in scene.sent
        if sent.line and sent.line.triggered
        for alert in sent.alert_ids
    )
    return started and not any(RunStatus(run["status"]).open for run in runs)


async def _released(scene: _Scene) -> bool:
    held = await scene.admin.items("/v1/containments", state="all")
    return any(item["target"]["value"] == _LEASED and item["state"] == "lifted" for item in held)


async def _until(
    ready: Callable[[], Awaitable[bool]], within: float, what: str, beside: asyncio.Task[None]
) -> None:
    """Waits for a condition; when it does not come, the account says what is missing."""
    deadline = time.monotonic() + within
    while not await ready():
        if beside.done():
            beside.result()  # what stopped the people stops the demo
        if time.monotonic() > deadline:
            say(f"waited {within:.0f} s until {what}; going on without")
            return
        await asyncio.sleep(0.25)


async def _account(scene: _Scene, folder: Path, asked: dict[str, str], lease: str) -> bool:
    export = folder / "audit.jsonl"
    await export_trail(scene.runtime, export)
    runs = [
        await scene.admin.get(f"/v1/runs/{run['id']}")
        for run in await scene.admin.items("/v1/runs")
    ]
    account = Account(
        sent=scene.sent,
        runs=runs,
        asked=asked,
        containments=await scene.admin.items("/v1/containments", state="all"),
        lab=await scene.lab.get("/_lab/state"),
        export=export,
        public_key=scene.runtime.audit_key.public,
        lease_run=lease,
    )
    say("\nA draft, tried on these alerts")
    for line in await tried_on_them(scene.runtime, folder / "backtest.html"):
        say(f"  {line}")
    return account.show(Console(highlight=False, soft_wrap=True))
