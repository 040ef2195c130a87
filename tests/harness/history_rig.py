"""A store with past alerts and the rows that their runs left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orchestrator.authoring.backtest.live_reads import live_reads
from orchestrator.authoring.backtest.report import Backtest
from orchestrator.authoring.backtest.service import BacktestPlaybook, BacktestRequest, run_backtest
from orchestrator.domain.change import Change
from orchestrator.domain.containment import EffectState
from orchestrator.domain.digest import input_digest
from orchestrator.domain.run import BEFORE, RunStatus, StepState
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.tables import AlertRow, ApprovalRow, EffectRow, RunRow, StepRow
from tests.harness.databases import migrate_quickly

NOW = datetime(2026, 3, 10, tzinfo=UTC)
LIVE = """\
playbook: block-guesser
version: 1
title: Block an address that guesses passwords
owner: soc
trigger:
  when: alert.class == 'brute_force'
  once_per: ${{ alert.remote.address }}
  within: 1h
steps:
  - id: verdict
    use: reputation.lookup_address
    with: {address: "${{ alert.remote.address }}"}
  - id: block
    when: steps.verdict.malicious >= 5
    use: firewall.block_address
    with: {address: "${{ alert.remote.address }}"}
    for: 24h
"""


@dataclass
class HistoryRig:
    """A store whose clock stands at NOW."""

    rt: Runtime

    async def add(self, *rows: Any) -> None:
        """Add rows."""
        async with self.rt.store.write() as session:
            session.add_all(rows)

    async def alert(
        self, name: str, address: str, at: datetime = NOW - timedelta(hours=2), **more: Any
    ) -> None:
        """Store an alert without a run."""
        await self.add(alert_row(name, address, at, **more))

    async def handled(
        self,
        name: str,
        address: str,
        malicious: int,
        at: datetime = NOW - timedelta(hours=2),
        **more: Any,
    ) -> None:
        """Store an alert with a run that blocked its address if five engines call it malicious.

        `ran`: when it ran; `changed`: whether the firewall changed; `asked`: whether people were
        asked; `over_limit`: the limit that people let the run exceed; `still_open`: whether the run
        waits for people.
        """
        ran = more.pop("ran", at)
        changed, asked = more.pop("changed", True), more.pop("asked", False)
        over_limit, still_open = more.pop("over_limit", None), more.pop("still_open", False)
        await self.add(alert_row(name, address, at, **more))
        rows = run_rows(name, address, ran, malicious, changed=changed, asked=asked)
        if over_limit is not None:
            rows[0].over_limit = over_limit
            rows.append(begin_approval(rows[0], "approved"))
        if still_open:
            rows[0].status, rows[0].ended_at = RunStatus.WAITING, None
        await self.add(*rows)

    async def over_limit(self, name: str, address: str, at: datetime) -> None:
        """Store an alert whose run went beyond `runs_per_hour`, and which people did not let begin."""
        run = run_rows(name, address, at, 0)[0]
        run.over_limit, run.status, run.error = 1, "declined", "declined by ann"
        await self.add(alert_row(name, address, at), run, begin_approval(run, "declined"))

    async def try_(self, text: str, **request: Any) -> Backtest:
        """Run a backtest of the last day."""
        return await run_backtest(
            self.rt,
            BacktestPlaybook(text=text, tests=request.pop("tests", None)),
            BacktestRequest(since=timedelta(days=1), **request),
            live=live_reads(self.rt),
        )


@asynccontextmanager
async def rig(folder: Path) -> AsyncIterator[HistoryRig]:
    """Open an empty store."""
    rt = open_runtime(Settings.load(data_dir=folder / "data"), clock=lambda: NOW)
    try:
        await migrate_quickly(rt)
        yield HistoryRig(rt)
    finally:
        await rt.close()


def alert_row(name: str, address: str, at: datetime, **more: Any) -> AlertRow:
    """Return a stored alert."""
    view = {
        **dict.fromkeys(("rule", "host", "user", "local", "file", "process", "url")),
        "id": name,
        "title": more.get("title", "Password guessing"),
        "class": more.get("alert_class", "brute_force"),
        "severity": 4,
        "remote": {"address": address, "domain": None, "port": None},
        "observables": [],
        "resolved": False,
    }
    about = {
        "source": "test",
        "title": "Password guessing",
        "alert_class": "brute_force",
        "incident_id": f"inc_{name}",
        **more,
    }
    kept: dict[str, Any] = {"raw": b"", "raw_sha256": "", "received_at": at, "last_seen_at": at}
    return AlertRow(
        id=name,
        product="generic",
        dedup_key=name,
        fingerprint=name,
        severity=4,
        view=view,
        **about,
        **kept,
    )


def begin_approval(run: RunRow, state: str) -> ApprovalRow:
    """Return the approval that decides whether a run over its playbook's limit begins."""
    return ApprovalRow(
        id=f"apr_{run.id}_begin", run_id=run.id, workflow_id=run.id, path=BEFORE, kind="change",
        question="Let one more run begin?", changes=[], digest="", state=state,
        asked_at=run.created_at, expires_at=run.created_at,
    )  # fmt: skip


def change_of(address: str, *, changed: bool = True) -> Change:
    """Return the block as the firewall planned it."""
    planned_change = {
        "target": {"type": "address", "value": address},
        "changed": changed,
        "summary": f"Block {address}",
        "group": "tocsin",
    }
    return Change(
        connection="firewall",
        connector="palo_alto",
        action="block_address",
        effect="contain",
        input={"address": address},
        planned_change=planned_change,
    )


def run_rows(
    name: str,
    address: str,
    at: datetime,
    malicious: int,
    *,
    changed: bool = True,
    asked: bool = False,
) -> list[Any]:
    """Return a run with its steps, effect and approval."""
    run = f"run_{name}"
    incident = f"inc_{name}"
    common = {"run_id": run, "kind": "use", "started_at": at, "ended_at": at}
    verdict = {
        "known": True,
        "malicious": malicious,
        "suspicious": 0,
        "harmless": 0,
        "undetected": 0,
        "reputation": 0,
        "tags": [],
        "link": None,
    }
    inputs = {"address": address}
    rows: list[Any] = [
        RunRow(
            id=run, playbook="block-guesser", version=1, plan_digest="", incident_id=incident, alert_id=name, source="test", severity=4,
            status=RunStatus.COMPLETED, started_by="source:test", created_at=at, ended_at=at + timedelta(seconds=3),
        ),
        StepRow(
            path="verdict", state=StepState.DONE, seq=1, connection="reputation", action="lookup_address", inputs=inputs,
            inputs_digest=input_digest("reputation", "lookup_address", inputs), result=verdict, **common,
        ),
    ]  # fmt: skip
    if malicious < 5:
        return rows
    change = change_of(address, changed=changed)
    rows.append(
        StepRow(
            path="block", state="verified" if changed else "done", seq=2, connection="firewall", action="block_address", inputs=inputs,
            inputs_digest=input_digest("firewall", "block_address", inputs), planned_change=change.planned_change, result={}, **common,
        )
    )  # fmt: skip
    data = change.model_dump(mode="json")
    if changed:
        rows.append(
            EffectRow(
                id=f"{run}/block/1", run_id=run, path="block", seq=2, playbook="block-guesser", source="test", connection="firewall",
                connector="palo_alto", action="block_address", effect="contain", target_type="address", target_value=address,
                containment_key=change.containment_key, change=data, change_digest=change.digest, output={}, state=EffectState.UNDONE, intended_at=at,
            )
        )  # fmt: skip
    if asked:
        rows.append(
            ApprovalRow(
                id=f"apr_{run}", run_id=run, workflow_id=run, path="block", kind="change", question="Block it?", changes=[data], digest="",
                state="approved", asked_at=at, expires_at=at,
            )
        )  # fmt: skip
    return rows
