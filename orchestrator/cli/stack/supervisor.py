"""`tocsin up`: one tree of processes that starts, heals and ends together.

Why not supervisord, honcho or systemd: the stack starts in an order that depends on readiness (the
lab, then the database with its first admin key, then API and workers, until each polls), its
ports are chosen and kept per data directory, and the listening sockets stay open while a child
restarts, so that no caller is refused. No child survives the supervisor, even `kill -9`, on Linux
and macOS, without root and without a configuration file. honcho ends everything when one process
dies, supervisord orders by number instead of readiness and leaves children behind when it is
killed, and systemd is not on every machine. A production installation uses its own process manager
for `tocsin api` and `tocsin worker`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator import first_start
from orchestrator.audit.sinks.configure import check_sinks
from orchestrator.cli.stack import ports
from orchestrator.cli.stack.child import Child, Program
from orchestrator.cli.stack.gateway import open_to_others
from orchestrator.cli.stack.ports import Listening, temporal_certificates
from orchestrator.cli.stack.program_log import ProgramLog
from orchestrator.cli.stack.programs import stack_programs
from orchestrator.cli.stack.readiness import Readiness, Report
from orchestrator.cli.stack.workers import choose_metrics_ports
from orchestrator.installation.lock import locked
from orchestrator.installation.marker import load_marker
from orchestrator.installation.open import check_installation, open_first
from orchestrator.runtime import Runtime, make_data_dir
from orchestrator.settings import Settings, incomplete_settings, unknown_variables

_END_WITHIN = 9.0  # seconds for the whole tree
_TEMPORAL_OFFSET, _LAB_OFFSET = 1, 2  # of their ports from the API's, where those are free
_CALLED = ("lab", "temporal")  # by the API and the workers
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class StackOptions:
    """The options of `tocsin up`."""

    settings: Settings
    config: Path | None
    lab: bool
    lab_port: int | None


async def run_stack(options: StackOptions, report: Report) -> None:
    """Run the stack until SIGINT or SIGTERM.

    Raise Conflict where a stack runs on this data directory, Invalid where a port is taken or an
    audit sink cannot be used.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running_stack(options, report, stop):
        await stop.wait()
        report("ending")
    report("ended")


@asynccontextmanager
async def running_stack(
    options: StackOptions, report: Report, stop: asyncio.Event | None = None
) -> AsyncIterator[Listening]:
    """Yield the addresses of a ready stack, and end it afterwards; `stop` ends the start early."""
    settings = options.settings
    created = make_data_dir(settings.data_dir)
    async with AsyncExitStack() as ending:
        ending.enter_context(locked(settings.data_dir))
        _report_settings(settings, report, created=created)
        check_sinks(settings)
        await check_installation(settings)
        listening, listeners = _listen(options, ending)
        ports.save_listening(settings.data_dir, listening)
        lifeline = _open_lifeline(ending)
        children = [
            _child(program, settings, lifeline, report)
            for program in stack_programs(settings, options.config, listening, listeners)
        ]
        tree = _Tree(children)
        ending.push_async_callback(tree.end)
        stop = stop or asyncio.Event()
        readiness = Readiness(settings, listening, children, report, stop)
        valid = await _start(tree, await open_first(settings), readiness)
        if not stop.is_set():
            _announce(settings, listening, report, valid_key=valid)
        yield listening


class _Tree:
    """The children with the tasks that supervise them."""

    def __init__(self, children: list[Child]) -> None:
        self._children = children
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, *names: str) -> None:
        """Start the children of these names that the stack has."""
        self._tasks += [
            asyncio.create_task(child.supervise())
            for child in self._children
            if child.program.name in names
        ]

    async def end(self) -> None:
        """End all children, callers before those that they call."""
        deadline = time.monotonic() + _END_WITHIN
        callers = [child for child in self._children if child.program.name not in _CALLED]
        called = [child for child in self._children if child.program.name in _CALLED]
        for group, reserve in ((callers, 2.0), (called, 0.0)):
            left = max(0.5, deadline - reserve - time.monotonic())
            await asyncio.gather(*(child.end(left) for child in group))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _start(tree: _Tree, rt: Runtime, readiness: Readiness) -> bool:
    """Start the programs in their order; return whether the admin key's file holds a valid key."""
    settings, listening = readiness.settings, readiness.listening
    readiness.report(f"logs: {settings.data_dir}/logs/")
    try:
        # Before Temporal has a file of its own, so that a start that was cut off can be repeated.
        await first_start.create_database(rt)
        tree.start(*_CALLED)
        if listening.lab_url:
            await readiness.wait_for("the lab", readiness.lab_answers)
        await first_start.prepare(rt, listening.lab_url)
        valid = await first_start.has_valid_admin_key(rt)
    finally:
        await rt.close()
    tree.start("api", *listening.workers)
    await readiness.wait_for("the API", readiness.api_accepts_alerts)
    if not settings.temporal_bundled:
        await readiness.wait_for_external_temporal()
    await readiness.wait_for("a worker", readiness.own_workers_poll)
    await readiness.wait_for("the stack", readiness.is_ready)
    return valid


def _report_settings(settings: Settings, report: Report, *, created: bool) -> None:
    """Say where a new installation is made, and what of the settings has no effect."""
    if created or load_marker(settings.data_dir) is None:
        report(f"new installation: {settings.data_dir.absolute()}")
    for problem in (*map(str, unknown_variables(os.environ)), *incomplete_settings(settings)):
        report(f"warning: {problem}")


def _announce(settings: Settings, listening: Listening, report: Report, *, valid_key: bool) -> None:
    report(f"API: {listening.api_url}  (metrics: {listening.api_url}/metrics)")
    for name, url in listening.metrics_urls.items():
        report(f"{name}: metrics: {url}")
    if listening.lab_url:
        report(f"lab: {listening.lab_url}  (state: {listening.lab_url}/_lab/state)")
    if listening.temporal_address:
        report(f"Temporal: {listening.temporal_address}")
        if (reason := open_to_others(temporal_certificates(settings.data_dir).folder)) is not None:
            report(f"warning: {reason}")
    if valid_key:
        report(f"admin key: {settings.admin_key_path}")
    else:
        report(f"warning: {first_start.INVALID_ADMIN_KEY.format(path=settings.admin_key_path)}")
    report("ready")


def _listen(options: StackOptions, ending: AsyncExitStack) -> tuple[Listening, dict[str, int]]:
    """Open the sockets here, so that callers wait while a child restarts, and are not refused."""
    settings, before = options.settings, ports.load_listening(options.settings.data_dir)
    sockets = {"api": ports.listen_api(settings)}
    ending.enter_context(sockets["api"])
    if options.lab:
        port = options.lab_port or ports.choose(
            _LOOPBACK, before.lab if before else None, settings.port + _LAB_OFFSET
        )
        sockets["lab"] = ending.enter_context(ports.listen(_LOOPBACK, port, "--lab-port"))
    if settings.temporal_bundled:
        port = ports.choose(
            _LOOPBACK, before.temporal if before else None, settings.port + _TEMPORAL_OFFSET
        )
        sockets["temporal"] = ending.enter_context(ports.listen(_LOOPBACK, port, "its port"))
    bound = {name: each.getsockname()[1] for name, each in sockets.items()}
    listening = Listening(
        pid=os.getpid(),
        host=settings.host,
        api=settings.port,
        temporal=bound.get("temporal"),
        lab=bound.get("lab"),
        workers=choose_metrics_ports(settings, before),
        metrics_host=settings.worker_metrics_host,
        tls_cert=settings.tls_cert.absolute() if settings.tls_cert else None,
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
    log = ProgramLog(logs / f"{program.name}.log", settings.log_max_bytes, settings.log_keep)
    return Child(program, log, lifeline, report)
