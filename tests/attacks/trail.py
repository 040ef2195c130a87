"""Random tamperings with the audit trail: each must be found with what a sink has, and be named.

`python -m tests.attacks.trail --count 10000` prints a table.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import re
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.audit import trail
from orchestrator.audit.anchor import Anchor, BrokenTrail
from orchestrator.audit.export import write_export
from orchestrator.audit.sealer import seal_pending
from orchestrator.audit.sinks.stream import SinkStream
from orchestrator.audit.verify.check import Kept, verify
from orchestrator.crypto.keys import load_ring
from orchestrator.crypto.mac import Authenticator
from orchestrator.crypto.signing import SigningKey
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import TocsinError
from orchestrator.installation.identity import establish_identity
from orchestrator.key_rotation.audit_key import rotate_audit_key
from orchestrator.key_rotation.step import RotationStep
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.queries import audit
from tests.attacks.tampering import TAMPERINGS, Owner
from tests.harness.databases import START, migrate_quickly

ROLL_BACK = "roll back"
KINDS = (*TAMPERINGS, ROLL_BACK)
_SIZES = (3, 1, 4, 1, 5, 1, 3)
_CHANGE = 4
"""The batch with which the audit key changes."""


@dataclass(slots=True)
class Outcome:
    """What became of the tamperings of one kind."""

    played: int = 0
    refused: int = 0
    """The live sealer refused to go on."""
    found: int = 0
    named: int = 0
    missed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Target:
    """A trail with a sink, and copies of its database after each batch."""

    folder: Path
    settings: Settings
    copies: Sequence[Path]
    retired: SigningKey
    """The key of the first batches, which the attacker copied before it was destroyed."""

    @property
    def sink(self) -> Path:
        """The file that the attacker cannot write."""
        return self.folder / "sink.jsonl"


@dataclass(frozen=True, slots=True)
class Tampered:
    """What an attacker touched, and the key that signs the export."""

    touched: set[int]
    batches: set[int]
    exporter: SigningKey | None = None


async def make_target(folder: Path) -> Target:
    """Seal a few batches, each delivered to the sink."""
    settings = Settings.load(data_dir=folder / "data", audit_sinks=(f"file://{folder}/sink.jsonl",))
    copies = []
    rt = open_runtime(settings, clock=lambda: START)
    await migrate_quickly(rt)
    await establish_identity(rt)
    retired = rt.audit_key
    await rt.close()
    for number, size in enumerate(_SIZES, start=1):
        rt = open_runtime(settings, clock=lambda: START)
        if number == _CHANGE:
            await rotate_audit_key(rt, RotationStep.ALL, lambda _: None, actor="system")
        else:
            await _live(rt, number, size)
        await SinkStream(rt).deliver()
        await rt.close()  # which writes everything into the one file
        copy = folder / f"copy-{number}.db"
        shutil.copyfile(settings.data_dir / "tocsin.db", copy)
        copies.append(copy)
    return Target(folder, settings, copies, retired)


async def play(target: Target, kind: str, dice: random.Random, outcome: Outcome) -> None:
    """Tamper once, let the live worker go on, and verify what it exports."""
    data = target.folder / f"attempt-{dice.getrandbits(64):016x}"
    shutil.copytree(target.settings.data_dir, data)
    settings = target.settings.model_copy(update={"data_dir": data})
    try:
        owner = _tamper(target, settings, kind, dice)
        rt = open_runtime(settings, clock=lambda: START)
        try:
            await _observe(target, rt, kind, owner, dice, outcome)
        finally:
            await rt.close()
    finally:
        shutil.rmtree(data)


async def _observe(
    target: Target,
    rt: Runtime,
    kind: str,
    owner: Tampered,
    dice: random.Random,
    outcome: Outcome,
) -> None:
    touched, batches = owner.touched, owner.batches
    outcome.played += 1
    try:
        await _live(rt, 99, dice.randint(1, 3))
    except BrokenTrail:
        outcome.refused += 1
    findings = await _findings(target, rt, owner.exporter or rt.audit_key)
    if findings:
        outcome.found += 1
    if any(_names(finding, touched, batches) for finding in findings):
        outcome.named += 1
    else:
        outcome.missed.append(f"{kind}: {sorted(touched)} {sorted(batches)}: {findings[:3]}")


async def _findings(target: Target, rt: Runtime, key: SigningKey) -> tuple[str, ...]:
    """Return what the verification with the sink says of an export, which the attacker made."""
    path = rt.settings.data_dir / "export.jsonl"
    try:
        async with rt.store.read() as session:
            newest = await audit.newest_batch(session)
            rows = audit.sealed_rows(session, newest.number if newest else 0)
            earlier = [target.retired.public]
            await write_export(path, rows, key=key, earlier=earlier, environment="test", now=START)
    except TocsinError as error:
        return (str(error),)
    return verify(path, target.retired.public, Kept(sink=target.sink)).findings


def _tamper(target: Target, settings: Settings, kind: str, dice: random.Random) -> Tampered:
    database = settings.data_dir / "tocsin.db"
    if kind == ROLL_BACK:
        number = dice.randrange(len(target.copies) - 1)
        shutil.copyfile(target.copies[number], database)
        kept = sum(_SIZES[: number + 1])
        tampered = Tampered(set(range(kept + 1, sum(_SIZES) + 1)), set())
    else:
        with _owner(target, settings, dice) as owner:
            TAMPERINGS[kind](owner)
            tampered = Tampered(owner.touched, owner.batches, owner.exporter)
    _cover(settings, dice)
    return tampered


@contextlib.contextmanager
def _owner(target: Target, settings: Settings, dice: random.Random) -> Iterator[Owner]:
    """Open the database with the keys of the data directory."""
    ring = load_ring(settings.encryption_key_path)
    assert ring is not None
    from orchestrator.crypto.signing import load_signing_key

    key = load_signing_key(settings.audit_key_path)
    with contextlib.closing(sqlite3.connect(settings.data_dir / "tocsin.db")) as db, db:
        owner = Owner(db, Authenticator(ring.derive("audit-event")), key, dice)
        owner.keys = dict.fromkeys(range(1, _CHANGE + 1), target.retired)
        owner.disarm()
        yield owner


def _cover(settings: Settings, dice: random.Random) -> None:
    """Cover the traces in the data directory: often, the live worker then suspects nothing."""
    match dice.choice(["leave", "remove", "sign"]):
        case "remove":
            settings.audit_anchor_path.unlink(missing_ok=True)
            settings.audit_head_path.unlink(missing_ok=True)
        case "sign":
            settings.audit_anchor_path.unlink(missing_ok=True)
            settings.audit_head_path.unlink(missing_ok=True)
            _sign_anchor(settings)


def _sign_anchor(settings: Settings) -> None:
    from orchestrator.crypto.signing import load_signing_key
    from orchestrator.domain.audit_batch import Batch

    with contextlib.closing(sqlite3.connect(settings.data_dir / "tocsin.db")) as db:
        query = "SELECT record FROM audit_batches ORDER BY number DESC LIMIT 1"
        row = db.execute(query).fetchone()
    if row is not None:
        with contextlib.suppress(ValueError):
            key = load_signing_key(settings.audit_key_path)
            Anchor(settings.audit_anchor_path, key).advance(Batch.model_validate_json(row[0]))


async def _live(rt: Runtime, number: int, size: int) -> None:
    """Write and seal events, as a worker does."""
    async with rt.store.write() as session:
        for index in range(size):
            await trail.record(
                session,
                EventKind.RUN_CREATED,
                actor="system",
                subject=f"run_{number}_{index}",
                data={"index": index},
                now=START,
            )
    await seal_pending(rt)


def _names(finding: str, touched: set[int], batches: set[int]) -> bool:
    """Return whether a finding names an event or a batch that is not as it was."""
    for first, last in re.findall(r"events? (\d+)(?:\.\.(\d+))?", finding):
        if touched & set(range(int(first), int(last or first) + 1)):
            return True
    named = {int(number) for number in re.findall(r"batch (\d+)", finding)}
    return bool(batches & named)


async def run(count: int, seed: int) -> dict[str, Outcome]:
    """Play tamperings of all kinds, by turns, and return what was found of each kind."""
    outcomes = {kind: Outcome() for kind in KINDS}
    with tempfile.TemporaryDirectory(prefix="tocsin-trail-") as name:
        target = await make_target(Path(name))
        for number in range(count):
            kind = KINDS[number % len(KINDS)]
            await play(target, kind, random.Random(f"{seed} {number}"), outcomes[kind])
    return outcomes


def main() -> int:
    """Print a table of what was found. Return 1 where a tampering was missed or not named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    outcomes = asyncio.run(run(given.count, given.seed))
    total = Counter[str]()
    print(f"{'tampering':28}{'played':>8}{'refused':>9}{'found':>8}{'named':>8}")
    for kind, each in outcomes.items():
        print(f"{kind:28}{each.played:8}{each.refused:9}{each.found:8}{each.named:8}")
        total.update(played=each.played, refused=each.refused, found=each.found, named=each.named)
        for missed in each.missed[:5]:
            print(f"  {missed}")
    print(f"{'all':28}{total['played']:8}{total['refused']:9}{total['found']:8}{total['named']:8}")
    return 0 if total["named"] == total["played"] else 1


if __name__ == "__main__":
    sys.exit(main())
