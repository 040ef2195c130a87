"""`tocsin up`: one tree of processes that starts, heals and ends together.

Why not supervisord, honcho or systemd: the stack starts in an order that depends on readiness (the
lab, then the database with its first admin key, then API and worker, then a worker that polls), its
ports are chosen and kept per data directory, and the listening sockets stay open while a child
restarts, so that no caller is refused. No child survives the supervisor, even `kill -9`, on Linux
and macOS, without root and without a configuration file. honcho ends everything when one process
dies, supervisord orders by number instead of readiness and leaves children behind when it is
killed, and systemd is not on every machine. A production installation uses its own process manager
for `tocsin api` and `tocsin worker`.
"""

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
from orchestrator.cli.stack.programs import stack_programs
from orchestrator.contracts.names import TASK_QUEUE
from orchestrator.domain.errors import Conflict, Unavailable
from orchestrator.runtime import open_runtime
from orchestrator.settings import Settings

_READY_WITHIN = 120.0  # seconds: a machine under load starts slowly
_END_WITHIN = 9.0  # seconds for the whole tree
_LAB_OFFSET, _TEMPORAL_OFFSET = 2, 1  # of their ports from the API's, where those are free

_LOOPBACK = "127.0.0.1"

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class StackOptions:
    """The options of `tocsin up`."""

    settings: Settings
    config: Path | None
    lab: bool
    lab_port: int | None


async def run_stack(options: StackOptions, report: Report) -> None:
    """Run the stack until SIGINT or SIGTERM.

    Raise Conflict where a stack runs on this data directory, Invalid where a port is taken.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running_stack(options, report, stop) as listening:
        if not stop.is_set():
            _announce(options.settings, listening, report)
        await stop.wait()
        report("ending")
    report("ended")


@asynccontextmanager
async def running_stack(
    options: StackOptions, report: Report, stop: asyncio.Event | None = None
) -> AsyncIterator[Listening]:
    """Yield the addresses of a ready stack, and end it afterwards; `stop` ends the start early."""
    settings = options.settings
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with AsyncExitStack() as ending:
        ending.enter_context(_locked(settings.data_dir))
        listening, listeners = _listen(options, ending)
        ports.save_listening(settings.data_dir, listening)
        lifeline = _open_lifeline(ending)
        children = [
            _child(program, settings, lifeline, report)
            for program in stack_programs(settings, options.config, listening, listeners)
        ]
        tree = _Tree(children)
        ending.push_async_callback(tree.end)
        await _start(tree, settings, listening, report, stop or asyncio.Event())
        yield listening


class _Tree:
    """The children with the tasks that supervise them."""

    def __init__(self, children: list[Child]) -> None:
        self._children = children
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str) -> None:
        """Start the child of this name, if the stack has one."""
        self._tasks += [
            asyncio.create_task(child.supervise())
            for child in self._children
            if child.program.name == name
        ]

    async def end(self) -> None:
        """End all children, callers before those that they call."""
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


async def _start(
    tree: _Tree, settings: Settings, listening: Listening, report: Report, stop: asyncio.Event
) -> None:
    report(f"logs: {settings.data_dir}/logs/")
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
            raise Unavailable(
                f"{what} is not ready after {_READY_WITHIN:.0f} s; see its log in "
                f"{settings.data_dir}/logs/"
            )
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.1)


async def _answers(url: str) -> bool:
    try:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            return (await client.get(url)).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


async def _worker_polls(settings: Settings, listening: Listening) -> bool:
    """Return whether a worker polls the task queue."""
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
    except (RPCError, RuntimeError):  # Temporal is not up yet
        return False


def _announce(settings: Settings, listening: Listening, report: Report) -> None:
    report(f"API: {listening.api_url}")
    if listening.lab_url:
        report(f"lab: {listening.lab_url}  (state: {listening.lab_url}/_lab/state)")
    if listening.temporal_address:
        report(f"Temporal: {listening.temporal_address}")
    report(f"admin key: {settings.admin_key_path}")
    report("ready")


def _listen(options: StackOptions, ending: AsyncExitStack) -> tuple[Listening, dict[str, int]]:
    """Open the sockets here, so that callers wait while a child restarts, and are not refused."""
    settings, before = options.settings, ports.load_listening(options.settings.data_dir)
    sockets = {"api": ports.listen(settings.host, settings.port, "--port")}
    ending.enter_context(sockets["api"])
    if options.lab:
        port = options.lab_port or ports.choose(
            _LOOPBACK, before.lab if before else None, settings.port + _LAB_OFFSET
        )
        sockets["lab"] = ending.enter_context(ports.listen(_LOOPBACK, port, "--lab-port"))
    temporal = None
    # Last: Temporal binds its port itself, and must not get one that was just taken.
    if settings.temporal_bundled:
        temporal = ports.choose(
            _LOOPBACK, before.temporal if before else None, settings.port + _TEMPORAL_OFFSET
        )
    lab = sockets["lab"].getsockname()[1] if options.lab else None
    listening = Listening(
        pid=os.getpid(), host=settings.host, api=settings.port, temporal=temporal, lab=lab
    )
    return listening, {name: each.fileno() for name, each in sockets.items()}


def _open_lifeline(ending: AsyncExitStack) -> int:
    """Return the reading end of a pipe that closes when this process ends."""
    reading, writing = os.pipe()
    ending.callback(os.close, writing)
    ending.callback(os.close, reading)
    return reading


def _child(program: Program, settings: Settings, lifeline: int, report: Report) -> Child:
    logs = settings.data_dir / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)
    return Child(program, logs / f"{program.name}.log", lifeline, report)


@contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    """Hold the data directory's lock, which the kernel frees however this process ends."""
    lock = os.open(data_dir / "tocsin.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise Conflict(
                f"{data_dir}: process {owner} runs a stack on this data directory; end it first, "
                "or choose another with --data-dir"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)
