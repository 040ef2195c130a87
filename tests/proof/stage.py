"""The stage: real workflows and activities in a real worker, a store in a file, emulators."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from connectors.nftables.connector import Nftables
from connectors.sdk.emulator import Emulator, EmulatorTransport
from connectors.sdk.open import open_connector
from connectors.sdk.transport import Access
from orchestrator import worker as composed
from orchestrator.connections.open import pool_key
from orchestrator.containments import attend
from orchestrator.containments.attend import Attendant
from orchestrator.contracts.names import release_workflow_id, run_workflow_id
from orchestrator.domain.clock import utc_now
from orchestrator.engine.activities import check_drift, verify
from orchestrator.engine.temporal.codec import data_converter
from orchestrator.policy.policies import publish_policy
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.migrate import migrate
from orchestrator.store.tables import ConnectionRow, PlaybookRow
from tests.proof.clock import FastClock, VirtualClock
from tests.proof.crashes import CrashingConnector, SlowCalls
from tests.proof.deferrals import PLACES
from tests.proof.devices import SYSTEMS, Device, Journal
from tests.proof.edge import EdgeClient, EdgeDevice
from tests.proof.ledger import Ledger
from tests.proof.model import LawBroken
from tests.proof.playbooks import all_plans

SERVER = Path(sys.executable).with_name("temporal-test-server")  # from its package
REAL_SERVER = SERVER.with_name("temporal")
URL = "http://127.0.0.1:1"
_SLEEP_PATIENCE = 15.0
_LOOK_SECONDS = 0.005
"""Seconds of real time between two looks at what is due."""
_MOST_STEPS = 30
"""In how many steps time passes at most, each until something is due."""
_NEXT_DUE = """
SELECT min(due) AS due FROM (
    SELECT until AS due FROM leases WHERE state = 'live' AND until IS NOT NULL
    UNION ALL SELECT retry_at FROM containments WHERE state != 'lifted' AND retry_at IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM leases WHERE containment_key = key AND state = 'live')
)
"""
RESTLESS = 300
"""Activities while no time passes: a hanging server starts none, and one moment needs fewer."""
_LAST_SECONDS = 5.0
"""Seconds of real time."""
REMEMBERED = 2
"""Workflows that the worker keeps in memory. All others are replayed, as after a crash."""
ABRUPT = 0.001
"""Seconds that a worker has to finish its work."""
QUICK_PAUSES = (0.0, 0.001, 0.001)
"""An emulator changes at once, and waiting in real time would block the server's virtual time."""
WAITS = {"edr": {"containment_timeout_seconds": 0.5}}
POLICY = """\
rules: [{effect: contain, %s}]
limits: {per_run: {}, windows: []}
breaker: {at_least: 1000000}
drift: {every: 1h, then: %s}
"""
VERDICTS = {"allow": "allow: true", "ask": "approve: true", "deny": "deny: not now"}


class ProofStage:
    """One per process. Call `begin` and `end` around each sequence."""

    def __init__(self, folder: Path, *, is_real: bool = False) -> None:
        self.folder = folder
        self.is_real = is_real  # Temporal's real server, on which time does not skip
        self.clock = FastClock() if is_real else VirtualClock()
        self.journal = Journal()
        self.edge = EdgeDevice()
        self.devices: dict[str, Device | EdgeDevice] = {"edge": self.edge}
        self.connectors: dict[str, CrashingConnector] = {}
        self.slow_calls = SlowCalls(self.clock)
        self.away: set[str] = set()  # the systems that answer no plan
        self.ledger: Ledger
        self.rt: Runtime
        self.client: Client
        self._server: WorkflowEnvironment
        self._worker: Worker
        self._working: asyncio.Task[None]

    async def open(self) -> None:
        """Start the server and the worker."""
        verify.poll_until.__defaults__ = (QUICK_PAUSES,)
        check_drift.PAUSES = QUICK_PAUSES[:2]
        composed.MAX_WORKFLOWS = REMEMBERED
        attend.LOOK_SECONDS = _LOOK_SECONDS
        self.rt = open_runtime(
            Settings.load(
                data_dir=self.folder / "data", shutdown_seconds=ABRUPT, source_open_runs=PLACES
            ),
            clock=self.clock.now,
        )
        await migrate(self.rt.store)
        await self._furnish()
        await self.rt.store.close()
        shutil.copyfile(self._database, self.folder / "template.db")
        self._server = await self._start_server()
        self.client = self._server.client
        # Not the server's own client: each result that it waits for lets time pass.
        self._attending_client = await Client.connect(
            self.client.service_client.config.target_host, data_converter=self._converter
        )
        await self._work()

    async def _start_server(self) -> WorkflowEnvironment:
        converter = self._converter = data_converter(self.rt.payloads)
        if isinstance(self.clock, FastClock):
            return await WorkflowEnvironment.start_local(
                data_converter=converter,
                interceptors=[self.clock],
                plugins=[self.clock.plugin()],
                dev_server_existing_path=str(REAL_SERVER),
                dev_server_log_level="never",
            )
        return await WorkflowEnvironment.start_time_skipping(
            data_converter=converter,
            interceptors=[self.clock],
            test_server_existing_path=str(SERVER),
        )

    async def close(self) -> None:
        """Stop everything, even if the server no longer answers."""
        await self._stop_attending()
        self._working.cancel()
        await asyncio.wait([self._working], timeout=_LAST_SECONDS)
        with suppress(TimeoutError, RPCError, RuntimeError):
            async with asyncio.timeout(_LAST_SECONDS):
                await self._server.shutdown()
        self.ledger.close()
        await self.rt.close()

    async def begin(self) -> None:
        """Reset the store and the devices."""
        await self.rt.store.close()
        for ending in ("", "-wal", "-shm"):
            Path(f"{self._database}{ending}").unlink(missing_ok=True)
        shutil.copyfile(self.folder / "template.db", self._database)
        self.journal.entries.clear()
        self.away.clear()
        for name, device in self.devices.items():
            device.reset()
            self.connectors[name].due.clear()
            self.connectors[name].undone.clear()
        self.ledger = Ledger(self._database)
        self._stop = asyncio.Event()
        self.attendant = Attendant(self.rt, self._attending_client)
        self._attending = asyncio.ensure_future(self.attendant.attend_until(self._stop))

    async def end(self) -> None:
        """Close what a sequence that has ended used."""
        await self._stop_attending()
        self.ledger.close()

    async def _stop_attending(self) -> None:
        self._stop.set()
        await self._attending

    async def _work(self) -> None:
        """Start the worker."""
        self._worker = composed.make_worker(self.rt, self.client)
        self._working = asyncio.ensure_future(self._worker.run())
        # A worker that is stopped before it runs never releases its task queue.
        while not self._worker.is_running:
            await asyncio.sleep(0)

    async def pass_time(self, by: timedelta) -> None:
        """Let time pass on the server, which the clock of the store follows."""
        if isinstance(self.clock, FastClock):
            await self.clock.pass_time(by)
            return
        end, shortest = self.clock.now() + by, by / _MOST_STEPS
        while (now := self.clock.now()) < end:
            due = self._next_due()
            await self._skip(min(end - now, max(due - now, shortest)) if due else end - now)
            await self._attended()

    def _next_due(self) -> datetime | None:
        """Return when something is due on a containment next, other than a drift check."""
        found = self.ledger.rows(_NEXT_DUE)[0]["due"]
        return datetime.fromisoformat(found).replace(tzinfo=UTC) if found else None

    async def _attended(self) -> None:
        """Return once what is due is done, unless it takes long."""
        end = time.monotonic() + _LAST_SECONDS
        while (await self.attendant.look() or self.attendant.busy) and time.monotonic() < end:
            await asyncio.sleep(_LOOK_SECONDS)

    async def _skip(self, by: timedelta) -> None:
        before = self.clock.begun
        try:
            async with asyncio.timeout(_SLEEP_PATIENCE):
                await self._server.sleep(by)
        except TimeoutError:
            if (times := self.clock.begun - before) > RESTLESS:
                raise LawBroken(
                    f"the engine does not rest: {times} activities in {_SLEEP_PATIENCE:.0f} s without time passing"
                ) from None
            raise TimeoutError(
                f"the server does not let time pass: {await self._tails()}"
            ) from None
        self.clock.catch_up(await self._server.get_current_time())

    async def publish(self, verdict: str, *, reapply: bool) -> None:
        text = POLICY % (VERDICTS[verdict], "reapply" if reapply else "report")
        await publish_policy(self.rt, text, actor="person:owner")

    async def _tails(self) -> dict[str, list[str]]:
        """Return the last events of each open workflow."""
        found = {}
        for name in self._workflows():
            with suppress(RPCError):
                history = await self.client.get_workflow_handle(name).fetch_history()
                found[name] = [
                    EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
                    for event in history.events[-6:]
                ]
        return {
            name: tail
            for name, tail in found.items()
            if not tail[-1].startswith("WORKFLOW_EXECUTION_")
        }

    @property
    def _database(self) -> Path:
        return self.folder / "data" / "tocsin.db"

    def _workflows(self) -> list[str]:
        runs = [
            run_workflow_id(row["id"], row["attempt"])
            for row in self.ledger.rows("SELECT id, attempt FROM runs")
        ]
        return [
            *runs,
            *(
                release_workflow_id(row["key"])
                for row in self.ledger.rows("SELECT key FROM containments")
            ),
        ]

    async def _furnish(self) -> None:
        """Create open connections, playbooks and a policy."""
        now = utc_now()
        async with self.rt.store.write() as session:
            for name, (connector, emulator) in SYSTEMS.items():
                row = ConnectionRow(
                    name=name,
                    connector=connector.name,
                    capability="",
                    settings={},
                    secrets=b"",
                    revision=1,
                    saved_at=now,
                )
                session.add(row)
                self._connect(name, connector, emulator(), row)
            edge = ConnectionRow(
                name="edge",
                connector=Nftables.name,
                capability="",
                settings={},
                secrets=b"",
                revision=1,
                saved_at=now,
            )
            session.add(edge)
            self._connect_edge(edge)
            for plan in all_plans():
                about: dict[str, Any] = {
                    "title": "t",
                    "owner": "o",
                    "source": "",
                    "published_at": now,
                    "published_by": "person:author",
                }
                document = plan.model_dump(mode="json")
                session.add(
                    PlaybookRow(
                        name=plan.playbook, version=1, digest=plan.digest, plan=document, **about
                    )
                )
        await self.publish("allow", reapply=False)

    def _connect_edge(self, row: ConnectionRow) -> None:
        for access in Access:
            opened = open_connector(Nftables, {}, access)
            opened._nft = EdgeClient(opened.settings, access, self.edge)
            self.connectors["edge"] = interposed = CrashingConnector(
                "edge", opened, self.slow_calls, self.away
            )
            self.rt.connections.get(pool_key(row, access), lambda made=interposed: made)  # type: ignore[misc]

    def _connect(
        self, name: str, connector: type[Any], emulator: Emulator, row: ConnectionRow
    ) -> None:
        emulator.journal = self.journal  # type: ignore[attr-defined]
        self.devices[name] = emulator  # type: ignore[assignment]
        settings = {**emulator.settings(URL), "poll_seconds": 0.001} | WAITS.get(name, {})
        for access in Access:
            opened = open_connector(connector, settings, access, EmulatorTransport(emulator))
            opened.http._bucket = None  # emulators need no rate limit
            self.connectors[name] = interposed = CrashingConnector(
                name, opened, self.slow_calls, self.away
            )
            self.rt.connections.get(pool_key(row, access), lambda made=interposed: made)  # type: ignore[misc]
