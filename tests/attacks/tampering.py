"""Tamperings by a person who owns the database and the data directory, keys included."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orchestrator.audit.keys.change import sign_key_change
from orchestrator.audit.seal import number_stored, seal
from orchestrator.crypto.mac import Authenticator
from orchestrator.crypto.signing import SigningKey
from orchestrator.domain.audit_batch import Batch
from orchestrator.domain.audit_event import Event, EventKind, StoredEvent
from orchestrator.store.audit_events import event_row
from tests.harness.databases import START

COLUMNS = ("id", "kind", "time", "actor", "subject", "data", "mac")
GUARDED = ("audit_events", "audit_seals", "audit_batches")


@dataclass(slots=True)
class Owner:
    """The attacker: a connection to the database, the keys, and dice."""

    db: sqlite3.Connection
    macs: Authenticator
    key: SigningKey
    dice: random.Random
    keys: dict[int, SigningKey] = field(default_factory=dict)
    """The retired key, by the batches that it signed."""
    exporter: SigningKey | None = None
    """The key of the attacker's export, if not `key`."""
    touched: set[int] = field(default_factory=set)
    """Places in the chain that are not as they were; a finding must name one."""
    batches: set[int] = field(default_factory=set)

    def disarm(self) -> None:
        """Drop the triggers that keep the trail append-only."""
        for table in GUARDED:
            for operation in ("update", "delete"):
                self.db.execute(f"DROP TRIGGER IF EXISTS {table}_no_{operation}")

    def last_seq(self) -> int:
        """Return the last place of the chain."""
        return int(self.db.execute("SELECT max(seq) FROM audit_seals").fetchone()[0])

    def some_seq(self) -> int:
        """Return any place of the chain."""
        return self.dice.randint(1, self.last_seq())

    def number_at(self, seq: int) -> int:
        """Return the number of the event at a place."""
        found = self.db.execute("SELECT event_number FROM audit_seals WHERE seq = ?", (seq,))
        return int(found.fetchone()[0])

    def batch_of(self, seq: int) -> int:
        """Return the batch that seals a place."""
        query = "SELECT number FROM audit_batches WHERE first_seq <= ? AND last_seq >= ?"
        return int(self.db.execute(query, (seq, seq)).fetchone()[0])

    def event(self, number: int) -> StoredEvent:
        """Return an event of the database."""
        query = (
            "SELECT id, kind, time, actor, subject, data, mac FROM audit_events WHERE number = ?"
        )
        row = dict(zip(COLUMNS, self.db.execute(query, (number,)).fetchone(), strict=True))
        mac = row.pop("mac")
        return StoredEvent(number, {**row, "data": json.loads(row["data"])}, mac)

    def forge(self, **changes: Any) -> dict[str, Any]:
        """Return the row of an event that never was, with a valid MAC."""
        forged = Event(
            id=f"evt_{self.dice.getrandbits(128):032x}",
            kind=self.dice.choice(list(EventKind)),
            time=START,
            actor=self.dice.choice(["person:eve", "system"]),
            subject=f"run_{self.dice.randint(1, 9)}",
            data={"n": self.dice.randint(0, 10**6)},
        )
        return event_row(forged.model_copy(update=changes), self.macs)

    def put(self, number: int, row: dict[str, Any]) -> None:
        """Replace the event of a number."""
        values = (*[row[name] for name in COLUMNS[:5]], json.dumps(row["data"]), row["mac"])
        columns = ", ".join(f"{name} = ?" for name in COLUMNS)
        self.db.execute(f"UPDATE audit_events SET {columns} WHERE number = ?", (*values, number))

    def seal_again(self, first_seq: int, numbers: list[int] | None = None) -> None:
        """Seal all events from a place on again, with the true key, as the sealer does.

        `numbers`: which events follow from the batch of that place on.
        """
        first_batch = self.batch_of(first_seq)
        start = self.batch(first_batch).first_seq
        if numbers is None:
            query = "SELECT event_number FROM audit_seals WHERE seq >= ? ORDER BY seq"
            numbers = [row[0] for row in self.db.execute(query, (start,))]
        sizes = self._sizes(first_batch)
        previous = self.batch(first_batch - 1) if first_batch > 1 else None
        self.db.execute("DELETE FROM audit_seals WHERE seq >= ?", (start,))
        self.db.execute("DELETE FROM audit_batches WHERE number >= ?", (first_batch,))
        while numbers:
            size = sizes.pop(0) if sizes else len(numbers)
            part, numbers = numbers[:size], numbers[size:]
            entries = number_stored([self.event(number) for number in part], previous)
            key = self.keys.get(previous.number + 1 if previous else 1, self.key)
            previous = seal(entries, previous, key, START)
            self._store(previous, part, [entry.leaf for entry in entries])

    def insert_event(self, **changes: Any) -> int:
        """Insert an event that never was, and return its number."""
        number = int(self.db.execute("SELECT max(number) FROM audit_events").fetchone()[0]) + 1
        row = self.forge(**changes)
        values = (number, *[row[name] for name in COLUMNS[:5]], json.dumps(row["data"]), row["mac"])
        self.db.execute("INSERT INTO audit_events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        return number

    def append(self, numbers: list[int]) -> None:
        """Seal events at the end."""
        previous = self.batch(self.batch_of(self.last_seq()))
        entries = number_stored([self.event(number) for number in numbers], previous)
        batch = seal(entries, previous, self.key, START)
        self._store(batch, numbers, [entry.leaf for entry in entries])

    def _store(self, batch: Batch, numbers: list[int], leaves: list[str]) -> None:
        places = zip(range(batch.first_seq, batch.last_seq + 1), numbers, leaves, strict=True)
        self.db.executemany("INSERT INTO audit_seals VALUES (?, ?, ?)", places)
        self.db.execute(
            "INSERT INTO audit_batches VALUES (?, ?, ?, ?)",
            (batch.number, batch.first_seq, batch.last_seq, json.dumps(batch.model_dump())),
        )

    def batch(self, number: int) -> Batch:
        """Return a batch of the database."""
        query = "SELECT record FROM audit_batches WHERE number = ?"
        return Batch.model_validate_json(self.db.execute(query, (number,)).fetchone()[0])

    def _sizes(self, first: int) -> list[int]:
        sizes = "SELECT last_seq - first_seq + 1 FROM audit_batches WHERE number >= ?"
        return [row[0] for row in self.db.execute(f"{sizes} ORDER BY number", (first,))]


def alter(owner: Owner) -> None:
    """Change one column of one event, with or without a new MAC."""
    seq = owner.some_seq()
    number = owner.number_at(seq)
    found = owner.event(number)
    forged = owner.forge()
    name = owner.dice.choice(COLUMNS[:6])
    if name == "kind" and forged["kind"] == found.record["kind"]:
        name = "data"
    if name == "time":
        forged[name] = "2020-01-01T00:00:00.000000Z"
    elif name in {"actor", "subject"}:
        forged[name] = f"run_{owner.dice.random()}"
    owner.put(number, {**found.record, "mac": found.mac, name: forged[name]})
    owner.touched.add(seq)


def delete(owner: Owner) -> None:
    """Delete an event, its place, or both."""
    seq = owner.some_seq()
    number = owner.number_at(seq)
    what = owner.dice.choice(["event", "place", "both"])
    if what != "place":
        owner.db.execute("DELETE FROM audit_events WHERE number = ?", (number,))
    if what != "event":
        owner.db.execute("DELETE FROM audit_seals WHERE seq = ?", (seq,))
    owner.touched.add(seq)


def insert(owner: Owner) -> None:
    """Put an event that never was at the place of another."""
    seq = owner.some_seq()
    number = owner.insert_event()
    owner.db.execute("UPDATE audit_seals SET event_number = ? WHERE seq = ?", (number, seq))
    owner.touched.add(seq)


def swap(owner: Owner) -> None:
    """Exchange the places of two events."""
    one, two = owner.dice.sample(range(1, owner.last_seq() + 1), 2)
    first, second = owner.number_at(one), owner.number_at(two)
    update = "UPDATE audit_seals SET event_number = ? WHERE seq = ?"
    owner.db.executemany(update, [(-1, one), (first, two), (second, one)])
    owner.touched |= {one, two}


def cut(owner: Owner) -> None:
    """Remove the newest batches and their events, so that the rest is a valid trail."""
    newest = int(owner.db.execute("SELECT max(number) FROM audit_batches").fetchone()[0])
    kept = owner.dice.randint(0, newest - 1)
    query = "SELECT coalesce(max(last_seq), 0) FROM audit_batches WHERE number <= ?"
    last = int(owner.db.execute(query, (kept,)).fetchone()[0])
    owner.touched |= set(range(last + 1, owner.last_seq() + 1))
    owner.db.execute(
        "DELETE FROM audit_events WHERE number IN "
        "(SELECT event_number FROM audit_seals WHERE seq > ?)",
        (last,),
    )
    owner.db.execute("DELETE FROM audit_seals WHERE seq > ?", (last,))
    owner.db.execute("DELETE FROM audit_batches WHERE number > ?", (kept,))


def forge_batch(owner: Owner) -> None:
    """Change one field of a signed batch, or remove the batch."""
    number = owner.batch_of(owner.some_seq())
    query = "SELECT record FROM audit_batches WHERE number = ?"
    record = json.loads(owner.db.execute(query, (number,)).fetchone()[0])
    owner.batches.add(number)
    owner.touched |= set(range(record["first_seq"], record["last_seq"] + 1))
    if owner.dice.random() < 1 / 3:
        owner.db.execute("DELETE FROM audit_batches WHERE number = ?", (number,))
        return
    name = owner.dice.choice(sorted(record))
    value = record[name]
    end = owner.dice.choice([letter for letter in "01!" if not str(value).endswith(letter)])
    record[name] = value + 1 if isinstance(value, int) else value[:-1] + end
    owner.db.execute(
        "UPDATE audit_batches SET record = ? WHERE number = ?", (json.dumps(record), number)
    )


def rewrite(owner: Owner) -> None:
    """Change an event, make its MAC, and seal the trail again from there with the true key."""
    seq = owner.some_seq()
    owner.put(owner.number_at(seq), owner.forge())
    owner.touched.add(seq)
    owner.seal_again(seq)


def remove_and_seal(owner: Owner) -> None:
    """Remove an event, and seal what follows again without a gap, with the true key."""
    seq = owner.dice.randint(1, owner.last_seq() - 1)
    first = owner.db.execute(
        "SELECT first_seq FROM audit_batches WHERE number = ?", (owner.batch_of(seq),)
    ).fetchone()[0]
    query = "SELECT event_number FROM audit_seals WHERE seq >= ? AND seq != ? ORDER BY seq"
    numbers = [row[0] for row in owner.db.execute(query, (first, seq))]
    owner.touched |= set(range(seq, owner.last_seq() + 1))
    owner.db.execute("DELETE FROM audit_events WHERE number = ?", (owner.number_at(seq),))
    owner.seal_again(seq, numbers)


def back_date(owner: Owner) -> None:
    """Insert an event into the past, and seal what follows again, with the true key."""
    seq = owner.some_seq()
    first = owner.db.execute(
        "SELECT first_seq FROM audit_batches WHERE number = ?", (owner.batch_of(seq),)
    ).fetchone()[0]
    query = "SELECT event_number FROM audit_seals WHERE seq >= ? ORDER BY seq"
    numbers = [row[0] for row in owner.db.execute(query, (first,))]
    number = owner.insert_event()
    owner.touched |= set(range(seq, owner.last_seq() + 1))
    owner.seal_again(seq, [*numbers[: seq - first], number, *numbers[seq - first :]])


def forge_with_retired_key(owner: Owner) -> None:
    """Change an event that the current key sealed, and seal again from there with the old key."""
    change = max(owner.keys)
    first = owner.batch(change).last_seq + 1
    seq = owner.dice.randint(first, owner.last_seq())
    owner.put(owner.number_at(seq), owner.forge())
    owner.touched.add(seq)
    owner.keys |= dict.fromkeys(range(change, change + 100), owner.keys[change])
    owner.seal_again(seq)


def change_to_own_key(owner: Owner) -> None:
    """Exchange the change of the key for one to the attacker's, and seal again from there."""
    change, own = max(owner.keys), SigningKey.new()
    seq = owner.batch(change).first_seq
    data = sign_key_change(owner.keys[change], own, "installation").model_dump()
    row = owner.forge(kind=EventKind.AUDIT_KEY_CHANGED, data=data)
    owner.put(owner.number_at(seq), row)
    owner.key = owner.exporter = own
    owner.touched |= set(range(seq, owner.last_seq() + 1))
    owner.seal_again(seq)
    owner.db.execute("UPDATE installation SET audit_key = ?", (own.public.hex,))


TAMPERINGS: dict[str, Callable[[Owner], None]] = {
    "alter": alter,
    "delete": delete,
    "insert": insert,
    "swap": swap,
    "cut": cut,
    "forge a batch": forge_batch,
    "rewrite and seal again": rewrite,
    "remove and seal again": remove_and_seal,
    "back-date and seal again": back_date,
    "forge with the retired key": forge_with_retired_key,
    "change to an own key": change_to_own_key,
}
"""The kinds of tampering with the database. `roll back` needs an older copy, see `trail`."""
