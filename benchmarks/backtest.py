"""Speed of backtests over a generated history of the shipped playbook; prints Markdown.

.venv/bin/python benchmarks/backtest.py [--alerts 2000] [--profile]
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import random
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orchestrator.assets.index import AssetIndex
from orchestrator.assets.inventory import import_assets
from orchestrator.authoring.backtest.history_index import HistoryIndex
from orchestrator.authoring.backtest.policy_inputs import PolicyInputs
from orchestrator.authoring.backtest.port import (
    HistoryPort,
    HistoryState,
    UnknownTolerantInterpreter,
)
from orchestrator.authoring.backtest.read_resolver import ReadFallback, ReadResolver
from orchestrator.authoring.backtest.replay import BacktestInput, build_state
from orchestrator.authoring.backtest.service import BacktestPlaybook, BacktestRequest, run_backtest
from orchestrator.authoring.rehearsal.actions import effect_name
from orchestrator.authoring.rehearsal.tests_yaml.model import Stub
from orchestrator.contracts.change import PlanReply, StepCall
from orchestrator.domain.containment import EffectState
from orchestrator.domain.digest import input_digest
from orchestrator.domain.run import StepState
from orchestrator.policy.document import Policy
from orchestrator.policy.evaluate import PolicyInForce
from orchestrator.registry.analysis import compile_draft
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.migrate import migrate
from orchestrator.store.queries.history import StoredAlert
from orchestrator.store.tables import AlertRow, ApprovalRow, EffectRow, RunRow, StepRow

NOW = datetime(2026, 3, 10, tzinfo=UTC)
PLAYBOOK = Path(__file__).parent.parent / "playbooks" / "brute-force-block" / "playbook.yaml"
ASSETS = 2_000
"""Hosts in the inventory."""


@dataclass(kw_only=True)
class Remembering(HistoryState):
    """A run that leaves rows as a real one does."""

    malicious: int = 0
    """The answer of the reputation service."""
    rows: dict[str, Any] = field(default_factory=dict)

    def read(self, call: StepCall) -> dict[str, Any]:
        """Answer a read, and record it."""
        output = {
            **dict.fromkeys(("suspicious", "harmless", "undetected", "reputation"), 0),
            "known": True,
            "tags": [],
            "link": None,
        }
        output |= {"malicious": self.malicious}
        self._keep(call, StepState.DONE, result=output)
        return output

    def plan(self, call: StepCall, now: datetime) -> PlanReply:
        """Plan a change, and record it."""
        reply = HistoryState.plan(self, call, now)
        self._keep(
            call,
            StepState.VERIFIED,
            planned_change=reply.change.planned_change,
            result=self.recollection.output(call, self.alert),
        )
        return reply

    def approvals(self, run_id: str) -> list[ApprovalRow]:
        """Return the approvals, all of them approved."""
        changes = {
            effect_name(change): change.model_dump(mode="json")
            for _, change in self._effects.values()
        }
        return [
            ApprovalRow(
                id=f"apr_{run_id}_{number}",
                run_id=run_id,
                workflow_id=run_id,
                path="block",
                kind="change",
                question="?",
                state="approved",
                changes=[changes[name]],
                digest="",
                asked_at=self.alert.received_at,
                expires_at=self.alert.received_at,
            )
            for number, name in enumerate(self.would_ask)
        ]

    def effects(self, run_id: str) -> list[EffectRow]:
        """Return the effects."""
        return [
            EffectRow(
                id=f"{run_id}/{path}/1",
                run_id=run_id,
                path=path,
                seq=seq,
                playbook="brute-force-block",
                source="edge",
                state=EffectState.APPLIED,
                connection=change.connection,
                connector=change.connector,
                action=change.action,
                effect=change.effect.value,
                target_type=change.target.type.value,
                target_value=change.target.value,
                containment_key=change.containment_key,
                change=change.model_dump(mode="json"),
                change_digest=change.digest,
                intended_at=self.alert.received_at,
            )
            for path, (seq, change) in self._effects.items()
        ]

    def _keep(self, call: StepCall, state: StepState, **more: Any) -> None:
        self.rows[call.ref.path] = {
            "kind": "use",
            "state": state.value,
            "seq": call.ref.seq,
            "connection": call.connection,
            "action": call.action,
            "inputs": call.input,
            "inputs_digest": input_digest(call.connection, call.action, call.input),
            **more,
        }


async def history(rt: Runtime, count: int) -> None:
    """Store alerts of the last 20 days, each with a run of the shipped playbook."""
    plan = (await compile_draft(rt, PLAYBOOK.read_text("utf-8"), str(PLAYBOOK))).plan
    policy = Policy()
    tried = BacktestInput(
        plan,
        "shipped",
        PolicyInForce(0, policy.digest, policy),
        PolicyInputs(AssetIndex([]), (), {}, policy.limits),
    )

    async def nothing(*_: Any) -> list[Any]:
        return []

    stubs = {"tickets.open": Stub(output={"key": "SOC-1", "url": "https://tickets.example/SOC-1"})}
    memory = ReadResolver(HistoryIndex(), ReadFallback.STUB, stubs, nothing, nothing)
    chance = random.Random(7)
    step = timedelta(days=20) / count
    rows: list[Any] = []
    for number in range(count):
        alert = one_alert(number, NOW - timedelta(days=20) + step * number)
        seen = build_state(tried, alert, memory, {}, plan.digest)
        stage = Remembering(
            **{
                name: getattr(seen, name)
                for name in HistoryState.__dataclass_fields__
                if not name.startswith("_")
            }
        )
        stage.malicious = chance.choice((0, 1, 4, 9, 30))
        result = await UnknownTolerantInterpreter(HistoryPort(stage), stage).whole()
        run_id, at = f"run_{number}", alert.received_at
        rows.append(stored(alert))
        rows.append(
            RunRow(
                id=run_id,
                playbook=plan.playbook,
                version=1,
                plan_digest=plan.digest,
                incident_id=alert.incident_id,
                alert_id=alert.id,
                source="edge",
                severity=4,
                status=result.status.value,
                started_by="source:edge",
                created_at=at,
                ended_at=at,
            )
        )
        rows += [
            StepRow(run_id=run_id, path=path, started_at=at, ended_at=at, **row)
            for path, row in stage.rows.items()
        ]
        rows += [*stage.effects(run_id), *stage.approvals(run_id)]
    async with rt.store.write() as session:
        session.add_all(rows)


def one_alert(number: int, at: datetime) -> StoredAlert:
    """Return an alert about password guessing from a new address."""
    address = f"198.18.{number // 250 % 250}.{number % 250 + 1}"
    host = {
        "id": None,
        "name": f"srv-{number % ASSETS}.corp.example",
        "address": None,
        "kind": "server",
        "critical": False,
        "tags": [],
    }
    view = {
        **dict.fromkeys(("rule", "user", "local", "file", "process", "url")),
        "id": f"alert_{number}",
        "incident_id": f"inc_{number}",
        "source": "edge",
        "product": "generic",
        "raw_sha256": "0" * 64,
        "title": "Password guessing",
        "class": "brute_force",
        "severity": 4,
        "severity_name": "high",
        "resolved": False,
        "time": at.isoformat(),
        "techniques": ["T1110"],
        "dedup_key": str(number),
        "host": host,
        "remote": {"address": address, "domain": None, "port": None},
        "observables": [
            {"type": "address", "value": address, "role": "remote"},
            {"type": "user", "value": "root", "role": "local"},
        ],
    }
    return StoredAlert(f"alert_{number}", f"inc_{number}", "edge", 4, "Password guessing", view, at)


def stored(alert: StoredAlert) -> AlertRow:
    """Return the row of an alert."""
    about = {
        "product": "generic",
        "dedup_key": alert.id,
        "severity": 4,
        "alert_class": "brute_force",
        "raw": b"",
        "raw_sha256": "",
    }
    given = {
        name: getattr(alert, name)
        for name in ("id", "incident_id", "source", "title", "view", "received_at")
    }
    return AlertRow(**given, **about, last_seen_at=alert.received_at)


async def measured(count: int, *, profile: bool) -> None:
    """Print a line per draft."""
    with tempfile.TemporaryDirectory() as folder:
        rt = open_runtime(Settings.load(data_dir=Path(folder)), clock=lambda: NOW)
        await migrate(rt.store)
        hosts = [
            {"type": "host", "value": f"srv-{number}.corp.example", "kind": "server"}
            for number in range(ASSETS)
        ]
        await import_assets(rt, hosts, actor="person:bench")
        await history(rt, count)
        text = PLAYBOOK.read_text("utf-8")
        drafts = {
            "as it ran": text,
            "asks more often": text.replace(
                "steps.verdict.malicious == 0", "steps.verdict.malicious < 5"
            ),
            "other words in every ticket, so that no record fits": text.replace(
                "Password guessing from", "Guessing from"
            ),
        }
        print(
            f"{count} alerts, {ASSETS} assets, SQLite, one process\n\n"
            "| draft | seconds | alerts/s | same | contained more | asked more |"
        )
        print("| --- | --- | --- | --- | --- | --- |")
        for name, draft in drafts.items():
            watch = cProfile.Profile()
            began = time.perf_counter()
            if profile:
                watch.enable()
            found = await run_backtest(
                rt,
                BacktestPlaybook(text=draft),
                BacktestRequest(since=timedelta(days=30), reads=ReadFallback.UNKNOWN),
            )
            watch.disable()
            took = time.perf_counter() - began
            groups = {group.difference.value: group.count for group in found.groups}
            more = f"{groups.get('contained more', 0)} | {groups.get('asked more', 0)}"
            print(f"| {name} | {took:.1f} | {found.alerts / took:.0f} | {found.same} | {more} |")
            if profile:
                pstats.Stats(watch).sort_stats("cumulative").print_stats(35)
        await rt.close()


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=2_000)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    asyncio.run(measured(given.alerts, profile=given.profile))


if __name__ == "__main__":
    main()
