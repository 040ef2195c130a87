"""`tocsin up`: how is the whole stack one tree that starts, heals and ends together?"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from orchestrator import first_start
from orchestrator.cli.stack import ports
from orchestrator.cli.stack.child import Child, Program
from orchestrator.cli.stack.ports import Listening
from orchestrator.cli.stack.programs import programs
from orchestrator.contracts.messages import TASK_QUEUE
from orchestrator.domain.errors import Conflict, Unavailable
from orchestrator.runtime import open_runtime
from orchestrator.settings import Settings

_READY_WITHIN = 120.0  # seconds: a machine under load starts slowly
_END_WITHIN = 9.0  # seconds for the whole tree
_LAB_BESIDE, _TEMPORAL_BESIDE = 2, 1  # how far their ports lie from the API's, where those are free

_LOOPBACK = "127.0.0.1"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `tocsin up` was asked for."""

    settings: Settings
    config: Path | None
    lab: bool
    lab_port: int | None


async def up(wanted: Wanted, say: Say) -> None:
    """Runs the stack until SIGINT or SIGTERM. Raises Conflict where one runs on this data directory, Invalid where a port is taken."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    async with stack(wanted, say, asked) as listening:
        if not asked.is_set():
            _announce(wanted.settings, listening, say)
        await asked.wait()
        say("ending")
    say("ended")


@asynccontextmanager
async def stack(
    wanted: Wanted, say: Say, stop: asyncio.Event | None = None
) -> AsyncIterator[Listening]:
    """The running stack, ready to work; ended when the block is left. `stop` ends the wait for it to get ready."""
    settings = wanted.settings
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with AsyncExitStack() as ending:
        ending.enter_context(_only_one(settings.data_dir))
        listening, listeners = _listen(wanted, ending)
        ports.remember(settings.data_dir, listening)
        reading = _lifeline(ending)
        children = [
            _child(program, settings, reading, say)
            for program in programs(settings, wanted.config, listening, listeners)
        ]
        tree = _Tree(children)
        ending.push_async_callback(tree.end)
        await _begin(tree, settings, listening, say, stop or asyncio.Event())
        yield listening


class _Tree:
    """The children with the tasks that keep them."""

    def __init__(self, children: list[Child]) -> None:
        self._children = children
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str) -> None:
        """Start keeping a child alive; a name that is not in the tree is no child of this stack."""
        self._tasks += [
            asyncio.create_task(child.keep())
            for child in self._children
            if child.program.name == name
        ]

    async def end(self) -> None:
        """Ends all: those that call before those that are called."""
        deadline = time.monotonic() + _END_WITHIN
        groups = (("api", "worker"), ("lab", "temporal"))
        for group, reserve in zip(groups, (2.0, 0.0), strict=True):
            left = max(0.5, deadline - reserve - time.monotonic())
            await asyncio.gather(
                *(child.end(left) for child in self._children if child.program.name in group)
            )
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _begin(
    tree: _Tree, settings: Settings, listening: Listening, say: Say, stop: asyncio.Event
) -> None:
    say(f"logs: {settings.data_dir}/logs/")
    tree.start("temporal")
    tree.start("lab")
    if listening.lab_url:
        await _until(lambda: _answers(f"{listening.lab_url}/_lab/state"), "the lab", settings, stop)
    runtime = open_runtime(settings)
    try:
        await first_start.prepare(runtime, listening.lab_url)
    finally:
        await runtime.close()
    tree.start("api")
    tree.start("worker")
    await _until(lambda: _answers(f"{listening.api_url}/readyz"), "the API", settings, stop)
    await _until(lambda: _worker_polls(settings, listening), "the worker", settings, stop)


async def _until(
    ready: Callable[[], Awaitable[bool]], what: str, settings: Settings, stop: asyncio.Event
) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while not stop.is_set():
        if await ready():
            return
        if time.monotonic() > deadline:
            message = f"{what} did not get ready within {_READY_WITHIN:.0f} s; its log is in {settings.data_dir}/logs/"
            raise Unavailable(message)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.1)


async def _answers(url: str) -> bool:
    try:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            return (await client.get(url)).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


async def _worker_polls(settings: Settings, listening: Listening) -> bool:
    """Whether somebody asks Temporal for our work."""
    try:
        client = await Client.connect(
            listening.temporal_address or settings.temporal_address,
            namespace=settings.temporal_namespace,
        )
        queue = DescribeTaskQueueRequest(
            namespace=settings.temporal_namespace,
            task_queue=TaskQueue(name=TASK_QUEUE),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        return bool((await client.workflow_service.describe_task_queue(queue)).pollers)
    except (RPCError, RuntimeError):  # not up yet
        return False


def _announce(settings: Settings, listening: Listening, say: Say) -> None:
    say(f"API: {listening.api_url}")
    if listening.lab_url:
        say(f"lab: {listening.lab_url}  (state: {listening.lab_url}/_lab/state)")
    if listening.temporal_address:
        say(f"Temporal: {listening.temporal_address}")
    say(f"admin key: {settings.admin_key_path}")
    say("ready")


def _listen(wanted: Wanted, ending: AsyncExitStack) -> tuple[Listening, dict[str, int]]:
    """The sockets are ours, so that whoever calls waits, rather than being refused, while a child is started again."""
    settings, before = wanted.settings, ports.remembered(wanted.settings.data_dir)
    sockets = {"api": ports.listen(settings.host, settings.port, "--port")}
    ending.enter_context(sockets["api"])
    if wanted.lab:
        port = wanted.lab_port or ports.choose(
            _LOOPBACK, before.lab if before else None, settings.port + _LAB_BESIDE
        )
        sockets["lab"] = ending.enter_context(ports.listen(_LOOPBACK, port, "--lab-port"))
    temporal = None
    if (
        settings.temporal_bundled
    ):  # last: it binds its port itself, and must not choose one that we have just taken
        temporal = ports.choose(
            _LOOPBACK, before.temporal if before else None, settings.port + _TEMPORAL_BESIDE
        )
    lab = sockets["lab"].getsockname()[1] if wanted.lab else None
    listening = Listening(
        pid=os.getpid(), host=settings.host, api=settings.port, temporal=temporal, lab=lab
    )
    return listening, {name: each.fileno() for name, each in sockets.items()}


def _lifeline(ending: AsyncExitStack) -> int:
    reading, writing = os.pipe()
    ending.callback(os.close, writing)
    ending.callback(os.close, reading)
    return reading


def _child(program: Program, settings: Settings, reading: int, say: Say) -> Child:
    logs = settings.data_dir / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)
    return Child(program, logs / f"{program.name}.log", reading, say)


@contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    """Holds the data directory's lock, which the kernel frees however this process ends."""
    lock = os.open(data_dir / "tocsin.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
            message = f"{data_dir}: process {owner} runs a stack on this data directory; end it first, or choose another with --data-dir"
            raise Conflict(message) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)
