"""The judgement after the faults: by what the lab shows and counts, then by Tocsin's own books."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.chaos.arena import HOLD_SECONDS, Arena
from tests.chaos.observer import Observer
from tests.harness.stack import FINAL, tocsin, until

QUIET_SECONDS = 120 + HOLD_SECONDS
"""After the last fault, everything has ended and is released within this time."""


@dataclass
class Judgement:
    """What went wrong, by kind; each entry says of what."""

    alerts: int = 0
    faults: list[str] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    """Seconds from the end of each lease until its address was gone."""

    def __bool__(self) -> bool:
        return bool(self.faults)


def judge(arena: Arena, observer: Observer) -> Judgement:
    """Wait for the end of everything, and judge."""
    found = Judgement(len(arena.accepted))
    _wait(arena, observer, found)
    runs = {each["alert_id"]: each for each in all_items(arena, "/v1/runs")}
    lab = arena.stack.lab()
    tickets = Counter(each["summary"] for each in lab["jira"]["in_force"].values())
    ends = _lease_ends(arena)
    for address, accepted in arena.accepted.items():
        run = runs.get(accepted["alert_id"])
        if run is None:
            found.faults.append(f"lost: the alert about {address} has no run")
            continue
        if run["status"] != "completed":
            error = run.get("error")
            found.faults.append(f"lost: run {run['id']} of {address} {run['status']}: {error}")
        _judge_address(address, observer, ends.get(address), found)
        if (times := tickets[f"Attack from {address}"]) != 1:
            found.faults.append(f"doubled or lost: {times} tickets about {address}")
    for name in ("palo_alto", "jira"):
        for effect in lab[name]["effects"]:
            if effect["count"] != 1:
                found.faults.append(f"doubled: {effect}")
    found.faults += _audit(arena)
    return found


def _judge_address(address: str, observer: Observer, end: float | None, found: Judgement) -> None:
    times = observer.seen.get(address, [])
    if not times:
        found.faults.append(f"lost: {address} was never contained")
        return
    if len(times) > 1:
        found.faults.append(f"doubled: {address} was contained {len(times)} times")
    gone = times[-1].gone
    if gone is None:
        found.faults.append(f"forgotten: {address} is still contained")
    elif end is None:
        found.faults.append(f"lost: the books have no lease of {address}")
    elif gone < end:
        found.faults.append(f"early: {address} was released {end - gone:.1f} s before its end")
    else:
        found.late.append(gone - end)


def _wait(arena: Arena, observer: Observer, found: Judgement) -> None:
    deadline = time.monotonic() + QUIET_SECONDS
    try:
        until(lambda: _is_over(arena, observer), QUIET_SECONDS, "the end of everything")
    except AssertionError:
        open_runs = [each for each in all_items(arena, "/v1/runs") if each["status"] not in FINAL]
        found.faults += [f"stuck: run {each['id']} is {each['status']}" for each in open_runs]
        found.faults += [
            f"forgotten: {each['target']} is {each['state']} in the books"
            for each in all_items(arena, "/v1/containments")
            if each["state"] != "lifted"
        ]
    remaining = deadline - time.monotonic()
    if observer.shown() and remaining > 0:
        until(lambda: not observer.shown(), remaining + 1, "an empty firewall")
    until(lambda: all(times[-1].gone for times in observer.seen.values()), 30, "the observer")


def _is_over(arena: Arena, observer: Observer) -> bool:
    runs = all_items(arena, "/v1/runs")
    held = [each for each in all_items(arena, "/v1/containments") if each["state"] != "lifted"]
    return all(each["status"] in FINAL for each in runs) and not held and not observer.shown()


def _lease_ends(arena: Arena) -> dict[str, float]:
    """Return when each address's lease ended by the books, in seconds since the epoch."""
    found: dict[str, float] = {}
    for each in all_items(arena, "/v1/containments", state="lifted"):
        address = each["target"]["value"]
        for lease in each["leases"]:
            if lease["expires_at"] is not None:
                end = datetime.fromisoformat(lease["expires_at"]).timestamp()
                found[address] = max(found.get(address, 0), end)
    return found


def _audit(arena: Arena) -> list[str]:
    here = ("--data-dir", arena.stack.folder)
    trail = Path(arena.armed.parent / "trail.ndjson")
    trail.unlink(missing_ok=True)
    exported = tocsin("audit", "export", trail, *here)
    if exported.returncode != 0:
        return [f"audit: {exported.stderr}"]
    key = ("--public-key", arena.stack.folder / "audit.pub")
    anchor = ("--anchor", arena.stack.folder / "audit.anchor")
    checked = tocsin("audit", "verify", trail, *key, *anchor)
    return [] if checked.returncode == 0 else [f"audit: {checked.stdout}{checked.stderr}"]


def all_items(arena: Arena, path: str, **query: Any) -> list[Any]:
    """Return the items of every page of a list."""
    items: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = arena.stack.get(path, limit=200, **query, **cursor)
        items += page["items"]
        if not page["next"]:
            return items
        cursor = {"cursor": page["next"]}
