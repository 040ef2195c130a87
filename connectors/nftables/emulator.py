"""An emulated `nft`: `python -m connectors.nftables.emulator STATE -j -f -`, with sets in a file.

It speaks nft's JSON for the commands that the connector uses, refuses what nft refuses, and changes
all or nothing. It imports the standard library only, so that it starts quickly, and has its own
interval arithmetic, so that it repeats no mistake of the connector.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import signal
import sys
import time
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

_TYPES = {"block4": "ipv4_addr", "block6": "ipv6_addr"}


def base_chain(name: str = "guard", hook: str = "forward") -> dict[str, Any]:
    """Return a base chain, as nft lists it."""
    return {"chain": {"name": name, "type": "filter", "hook": hook, "prio": -10}}


def rule(*statements: Any, chain: str = "guard") -> dict[str, Any]:
    """Return a rule, as nft lists it."""
    return {"rule": {"chain": chain, "expr": list(statements)}}


def by_set(name: str, field: str = "saddr", op: str = "==") -> dict[str, Any]:
    """Return a match of packets by a set, as nft lists it."""
    protocol = "ip6" if name.endswith("6") else "ip"
    left = {"payload": {"protocol": protocol, "field": field}}
    return {"match": {"op": op, "left": left, "right": f"@{name}"}}


RULESET = [base_chain(), *(rule(by_set(name), {"drop": None}) for name in _TYPES)]
"""A chain that drops by both sets."""


@dataclass(frozen=True)
class Span:
    """An element: its addresses as numbers, its comment, and its text."""

    low: int
    high: int
    comment: str
    text: str

    def overlaps(self, other: Span) -> bool:
        return self.low <= other.high and other.low <= self.high


class EmulatedNft:
    """An executable in `directory` that behaves like /usr/sbin/nft, and access to its state."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "nft-state.json"
        self.nft = directory / "nft"
        root = Path(__file__).resolve().parents[2]
        command = [sys.executable, "-S", "-m", "connectors.nftables.emulator", str(self._file)]
        self.nft.write_text(
            f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(root))} exec {shlex.join(command)} "$@"\n',
            "utf-8",
        )
        self.nft.chmod(0o700)
        self._write(empty_state())

    @property
    def effects(self) -> list[dict[str, Any]]:
        """Every change of the sets, by the comment of the element."""
        return list(self._read()["effects"])

    def in_force(self) -> dict[str, list[str]]:
        """Return the elements of each set, without comments."""
        return {
            name: sorted(span_of(entry).text for entry in entries)
            for name, entries in self._read()["sets"].items()
        }

    def inject(self, **fault: Any) -> None:
        """Add a fault for `times` calls: `lost_reply`, `silent`, `garbage` or `latency`.

        After `lost_reply` the tool is killed once the change is made.
        """
        state = self._read()
        state["faults"].append({"times": 1, "seconds": 1.0, **fault})
        self._write(state)

    def clear_faults(self) -> None:
        """Remove every fault."""
        self.alter(faults=[])

    def alter(self, **fields: Any) -> None:
        """Replace parts of the state, such as `table=False` for a missing table."""
        self._write({**self._read(), **fields})

    def put(self, name: str, *entries: Any) -> None:
        """Add elements to a set, as another administrator does."""
        state = self._read()
        state["sets"][name].extend(entries)
        self._write(state)

    def _read(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self._file.read_text("utf-8"))
        return state

    def _write(self, state: dict[str, Any]) -> None:
        self._file.write_text(json.dumps(state), "utf-8")


def empty_state() -> dict[str, Any]:
    """Return the state of a table with empty sets."""
    return {
        "sets": {name: [] for name in _TYPES},
        "effects": [],
        "faults": [],
        "ruleset": RULESET,
        "table": True,
    }


def main(arguments: list[str]) -> int:
    """Run the tool once and return its exit status."""
    path, options = Path(arguments[0]), arguments[1:]
    if options == ["-t", "-f", "-"]:
        return _describe(json.loads(path.read_text("utf-8")), sys.stdin.read().split())
    if options not in (["-j", "-f", "-"], ["-j", "-t", "-f", "-"]):
        return _fail("this nft knows `-j -f -`, `-j -t -f -` and `-t -f -` only")
    commands = json.loads(sys.stdin.read())["nftables"]
    with path.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        return _transact(json.load(file), commands, path)


def _describe(state: dict[str, Any], words: list[str]) -> int:
    """Print the answer to `list set` or `list table` in text, without elements."""
    if words[:2] == ["list", "table"] and state["table"]:
        flags = "\tflags dormant\n" if state.get("dormant") else ""
        sys.stdout.write(f"table inet {words[3]} {{\n{flags}}}\n")
        return 0
    if words[:2] != ["list", "set"] or words[4] not in state["sets"]:
        return _fail("Error: No such file or directory")
    merges = "\t\tauto-merge\n" if state.get("auto_merge") else ""
    sys.stdout.write(
        f"table inet {words[3]} {{\n\tset {words[4]} {{\n"
        f"\t\ttype {_TYPES[words[4]]}\n{merges}\t}}\n}}\n"
    )
    return 0


def _transact(state: dict[str, Any], commands: list[dict[str, Any]], path: Path) -> int:
    writes = any("list" not in command for command in commands)
    fault = _fault(state, writes=writes)
    path.write_text(json.dumps(state), "utf-8")
    if fault == "garbage":
        sys.stdout.write("\x00garbage{")
        return 0
    try:
        listed = [entry for command in commands for entry in carry_out(state, command)]
    except LookupError as error:
        return _fail(str(error.args[0]))
    if writes and fault != "silent":
        path.write_text(json.dumps(state), "utf-8")
    if fault == "lost_reply":
        os.kill(os.getpid(), signal.SIGKILL)
    if listed:
        sys.stdout.write(
            json.dumps(
                {
                    "nftables": [
                        {"metainfo": {"version": "1.0.6", "json_schema_version": 1}},
                        *listed,
                    ]
                }
            )
        )
    return 0


def _fault(state: dict[str, Any], *, writes: bool) -> str | None:
    """Return the fault that is due; one about an effect waits for a change."""
    for fault in state["faults"]:
        if fault["times"] > 0 and (writes or fault["kind"] in {"garbage", "latency"}):
            fault["times"] -= 1
            if fault["kind"] == "latency":
                time.sleep(fault["seconds"])
            return str(fault["kind"])
    return None


def carry_out(state: dict[str, Any], command: dict[str, Any]) -> list[Any]:
    """Carry out one command on a state. Raise LookupError, as nft says it."""
    ((verb, what),) = command.items()
    ((kind, place),) = what.items()
    if not state["table"] or (kind != "table" and place["name"] not in state["sets"]):
        message = "Error: No such file or directory"
        raise LookupError(message)
    if verb == "list":
        return _list(state, kind, place)
    entries = state["sets"][place["name"]]
    for entry in place["elem"]:
        _ELEMENT_VERBS[verb](state, entries, entry)
    return []


def _list(state: dict[str, Any], kind: str, place: dict[str, Any]) -> list[Any]:
    if kind == "set":
        return [_shown(state, place["name"])]
    return [
        {"table": {"name": place["name"]}},
        *(_shown(state, name) for name in state["sets"]),
        *state["ruleset"],
    ]


def _shown(state: dict[str, Any], name: str) -> dict[str, Any]:
    shown = {
        "family": "inet",
        "name": name,
        "type": _TYPES[name],
        "flags": state.get("flags", ["interval", "timeout"]),
    }
    elements = {"elem": state["sets"][name]} if state["sets"][name] else {}
    return {"set": {**shown, **elements}}  # like nft 1.0, without auto-merge


def _add(state: dict[str, Any], entries: list[Any], entry: Any) -> None:
    wanted = span_of(entry)
    existing = [span_of(other) for other in entries]
    if any(_equal(wanted, other) for other in existing):
        return  # nft keeps the old one with its comment
    if any(wanted.overlaps(other) for other in existing):
        message = "Error: interval overlaps with an existing one"
        raise LookupError(message)
    entries.append(entry)
    _log(state, "add", wanted)


def _create(state: dict[str, Any], entries: list[Any], entry: Any) -> None:
    if any(_equal(span_of(entry), span_of(other)) for other in entries):
        message = "Error: Could not process rule: File exists"
        raise LookupError(message)
    _add(state, entries, entry)


def _delete(state: dict[str, Any], entries: list[Any], entry: Any) -> None:
    found = next((other for other in entries if _equal(span_of(entry), span_of(other))), None)
    if found is None:
        message = "Error: element does not exist"
        raise LookupError(message)
    entries.remove(found)
    _log(state, "delete", span_of(found))


_ELEMENT_VERBS = {"add": _add, "create": _create, "delete": _delete}


def _equal(one: Span, other: Span) -> bool:
    return (one.low, one.high) == (other.low, other.high)


def _log(state: dict[str, Any], action: str, element: Span) -> None:
    key = element.comment
    for effect in state["effects"]:
        if (effect["action"], effect["target"], effect["key"]) == (action, element.text, key):
            effect["count"] += 1
            return
    state["effects"].append({"action": action, "target": element.text, "key": key, "count": 1})


def span_of(entry: Any) -> Span:
    """Return the addresses, the comment and the text of an element in nft's JSON."""
    inner = entry["elem"] if isinstance(entry, dict) and "elem" in entry else {"val": entry}
    value, comment = inner["val"], inner.get("comment", "")
    if isinstance(value, str):
        return Span(int(ip_address(value)), int(ip_address(value)), comment, value)
    if "prefix" in value:
        network = ip_network(f"{value['prefix']['addr']}/{value['prefix']['len']}")
        return Span(int(network[0]), int(network[-1]), comment, f"{network[0]}-{network[-1]}")
    first, last = value["range"]
    return Span(int(ip_address(first)), int(ip_address(last)), comment, f"{first}-{last}")


def _fail(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
