"""What came of the demo, and is all of it as the script says?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from orchestrator.audit.verify.check import verify
from orchestrator.cli.commands.audit import lines_of
from orchestrator.cli.demo.script import Line
from orchestrator.cli.demo.sender import Answer
from orchestrator.crypto.signing import PublicKey

_UNAUTHENTIC = 401


@dataclass(frozen=True, slots=True)
class Sent:
    """An alert with the webhook's answer; no line: the forged one."""

    line: Line | None
    answer: Answer

    @property
    def alert_ids(self) -> tuple[str, ...]:
        """Every alert that the body held."""
        body = self.answer.body
        several = [item["alert_id"] for item in body.get("alerts") or []]
        return tuple(several or ([body["alert_id"]] if body.get("alert_id") else []))


@dataclass(frozen=True, slots=True)
class Account:
    """All that the API, the lab and the trail say in the end."""

    sent: list[Sent]
    runs: list[dict[str, Any]]
    asked: dict[str, str]
    containments: list[dict[str, Any]]
    lab: dict[str, Any]
    export: Path
    public_key: PublicKey
    lease_run: str

    def show(self, console: Console) -> bool:
        """Prints it; whether all is as expected."""
        for title, lines in (
            ("Contained, and in force", self.contained()),
            ("Refused by policy", self.refused()),
            ("Declined by a person", self.declined()),
            ("Released again", self.released()),
        ):
            _section(console, title, lines or ["nothing"])
        report = verify(self.export, self.public_key)
        _section(
            console,
            "Audit, verified offline with the public key",
            lines_of(report, str(self.export)),
        )
        problems = self.problems() + (
            [] if report.status == "intact" else [f"the audit trail is {report.status}"]
        )
        counts = f"{len(self.sent)} alerts, {len(self.runs)} runs, {len(self.asked)} questions, {len(self.effects())} effects, each made once"
        _section(console, "As expected?", problems or [f"yes: {counts}"])
        return not problems

    def contained(self) -> list[str]:
        """One line per containment that holds."""
        return [
            f"{_what(item)} since {item['since'][:19]}"
            for item in self.containments
            if item["state"] == "held"
        ]

    def released(self) -> list[str]:
        """One line per containment that was lifted, and why."""
        return [
            f"{_what(item)} ({', '.join(sorted({lease['reason'] or 'ended' for lease in item['leases']}))})"
            for item in self.containments
            if item["state"] == "lifted"
        ]

    def refused(self) -> list[str]:
        """One line per step that policy refused, and why."""
        return [
            f"{run['playbook']} step {step['id']}: {step['error'] or '; '.join((step['verdict'] or {}).get('reasons', []))}"
            for run in self.runs
            for step in run["steps"]
            if step["state"] == "refused"
        ]

    def declined(self) -> list[str]:
        """One line per run that a person ended."""
        return [
            f"{run['playbook']} run {run['id']}" for run in self.runs if run["status"] == "declined"
        ]

    def effects(self) -> list[dict[str, Any]]:
        """What the emulators say was done to them."""
        return [
            {"emulator": name, **effect}
            for name, state in self.lab.items()
            for effect in state["effects"]
        ]

    def problems(self) -> list[str]:
        """Whole sentences; empty: all is as the script says."""
        found = [problem for sent in self.sent for problem in self._problems_of(sent)]
        found += [
            f"{effect['emulator']}: {effect['action']} {effect['target']} was done {effect['count']} times under one key"
            for effect in self.effects()
            if effect["count"] != 1
        ]
        lease = next((run for run in self.runs if run["id"] == self.lease_run), None)
        if lease is None or lease["status"] != "completed":
            found.append(
                f"the run that was started by hand is {lease['status'] if lease else 'missing'}"
            )
        if not self.released():
            found.append("no lease ended during the demo")
        return found

    def _problems_of(self, sent: Sent) -> list[str]:
        line, answer = sent.line, sent.answer
        if line is None:
            return (
                []
                if answer.status == _UNAUTHENTIC
                else [f"a forged credential was answered with {answer.status}"]
            )
        if answer.status not in {200, 202}:
            return [f"{line.short}: the webhook answered {answer.status} {answer.body}"]
        found = []
        if answer.attempts == 1 and bool(answer.body.get("duplicate")) != line.duplicate:
            found.append(f"{line.short}: duplicate is {answer.body.get('duplicate')}")
        if line.duplicate and sent.alert_ids != self._first(line).alert_ids:
            found.append(f"{line.short}: the duplicate got other ids than the first")
        return found + [
            problem for alert in sent.alert_ids for problem in self._problems_of_alert(line, alert)
        ]

    def _problems_of_alert(self, line: Line, alert: str) -> list[str]:
        runs = [run for run in self.runs if run["alert_id"] == alert]
        if line.triggered is None:
            return [
                f"{line.short}: started {run['playbook']}, and should have started nothing"
                for run in runs
            ]
        if [run["playbook"] for run in runs] != [line.triggered]:
            return [
                f"{line.short}: started {[run['playbook'] for run in runs]}, expected one run of {line.triggered}"
            ]
        run, found = runs[0], []
        if run["status"] != line.status:
            found.append(
                f"{line.short}: run {run['id']} is {run['status']} ({run['error']}), expected {line.status}"
            )
        asked = run["id"] in self.asked
        if asked != line.asked and not line.duplicate:
            found.append(f"{line.short}: people were {'' if asked else 'not '}asked")
        refused = any(step["state"] == "refused" for step in run["steps"])
        if refused != line.refused:
            found.append(f"{line.short}: policy {'refused' if refused else 'allowed'} its changes")
        return found

    def _first(self, line: Line) -> Sent:
        return next(sent for sent in self.sent if sent.line and sent.line.file == line.file)


def _what(item: dict[str, Any]) -> str:
    return f"{item['connection']}.{item['action']} {item['target']['value']}"


def _section(console: Console, title: str, lines: list[str]) -> None:
    console.print(Text(f"\n{title}", style="bold"))
    for line in lines:
        console.print(Text(f"  {line}"))
