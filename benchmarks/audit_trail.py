"""Cost of a head, a proof and a verification of the audit trail, by its length; prints Markdown.

.venv/bin/python benchmarks/audit_trail.py [--batches 1000 --parts start,head,proof]

Each is measured in a process of its own, whose peak memory includes the program (about 100 MB).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from orchestrator.audit.keys.load import load_keys
from orchestrator.audit.seal import number_stored, seal
from orchestrator.audit.sealer import export_trail
from orchestrator.audit.transparency import heads
from orchestrator.audit.verify.check import verify
from orchestrator.crypto.signing import load_public_key
from orchestrator.domain.audit_event import Event, EventKind, StoredEvent
from orchestrator.domain.clock import utc_now
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.audit_events import event_row
from orchestrator.store.migrate import migrate
from orchestrator.store.session import event_authenticator

PARTS = ("start", "head", "proof", "export", "verify")
AT_ONCE = 2000


def opened(folder: Path) -> Runtime:
    """Open the trail in a folder."""
    return open_runtime(Settings(data_dir=folder / "data"))


async def fill(folder: Path, batches: int, size: int) -> None:
    """Seal batches, and write their rows past the store, which would take hours."""
    rt = opened(folder)
    await migrate(rt.store)
    async with rt.store.read() as session:
        macs, key = event_authenticator(session), (await load_keys(rt, session)).signer
    await rt.close()
    now, previous, seq = utc_now(), None, 0
    with contextlib.closing(sqlite3.connect(folder / "data" / "tocsin.db")) as db:
        for number in range(1, batches + 1):
            stored = []
            for _ in range(size):
                seq += 1
                event = Event(
                    id=f"evt_{seq:032x}",
                    kind=EventKind.RUN_CREATED,
                    time=now,
                    actor="system",
                    subject=f"run_{seq}",
                    data={"n": seq},
                )
                row = event_row(event, macs)
                mac = row.pop("mac")
                stored.append(StoredEvent(seq, row, mac))
                db.execute(
                    "INSERT INTO audit_events (number, id, kind, time, actor, subject, data, mac) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (seq, *list(row.values())[:5], json.dumps(row["data"]), mac),
                )
            entries = number_stored(stored, previous)
            db.executemany(
                "INSERT INTO audit_seals VALUES (?, ?, ?)",
                [(each.record["seq"], each.record["seq"], each.leaf) for each in entries],
            )
            previous = seal(entries, previous, key, now)
            db.execute(
                "INSERT INTO audit_batches VALUES (?, ?, ?, ?)",
                (number, previous.first_seq, seq, json.dumps(previous.model_dump())),
            )
            if number % AT_ONCE == 0:
                db.commit()
        db.commit()


async def play(part: str, folder: Path, batches: int) -> None:
    """Do one thing with the trail."""
    if part == "verify":
        key = load_public_key(folder / "data" / "audit.pub")
        report = verify(folder / "trail.jsonl", key)
        assert report.status == "intact", report.findings
        return
    rt = opened(folder)
    try:
        if part == "head":
            assert (await heads.load_head(rt)).batch == batches
        elif part == "proof":
            assert (await heads.prove(rt, batches // 3 + 1)).nodes
        elif part == "export":
            await export_trail(rt, folder / "trail.jsonl")
    finally:
        await rt.close()


def measure(part: str, folder: Path, batches: int) -> tuple[float, float]:
    """Return the seconds and the peak memory in MB of one part."""
    began = time.perf_counter()
    arguments = [sys.executable, __file__, "--play", part, str(folder), "--batches", str(batches)]
    process = subprocess.Popen(arguments)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{part} failed")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def main() -> None:
    """Fill a trail, and measure each part in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=1000)
    parser.add_argument("--events", type=int, default=1, help="events in a batch")
    parser.add_argument("--parts", default=",".join(PARTS), help="which, separated by commas")
    parser.add_argument("--play", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.play:
        asyncio.run(play(given.play[0], Path(given.play[1]), given.batches))
        return
    with tempfile.TemporaryDirectory(prefix="tocsin-trail-") as name:
        folder = Path(name)
        asyncio.run(fill(folder, given.batches, given.events))
        print(f"{given.batches:,} batches of {given.events} events\n")
        print("| part | seconds | peak MB |\n| --- | ---: | ---: |")
        for part in given.parts.split(","):
            seconds, memory = measure(part, folder, given.batches)
            print(f"| {part} | {seconds:.2f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
