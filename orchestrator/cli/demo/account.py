"""The account of the demo: what became of each alert, and whether it is what the script expects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from orchestrator.audit.verify.check import verify
from orchestrator.cli.commands.administer.audit import render_report
from orchestrator.cli.demo.script import ScriptLine
from orchestrator.cli.demo.sender import WebhookAnswer
from orchestrator.crypto.signing import PublicKey

_UNAUTHENTICATED = 401
_ACCEPTED = {200, 202}


@dataclass(frozen=True, slots=True)
class SentAlert:
    """An alert with the webhook's answer."""

    line: ScriptLine | None
    """None: the alert with a forged credential."""
    answer: WebhookAnswer

    @property
    def alert_ids(self) -> tuple[str, ...]:
        """The ids of every alert in the body."""
        body = self.answer.body
        several = [item["alert_id"] for item in body.get("alerts") or []]
        return tuple(several or ([body["alert_id"]] if body.get("alert_id") else []))


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """What the API, the lab and the audit trail say at the end."""

    sent: list[SentAlert]
    runs: list[dict[str, Any]]
    decisions: dict[str, str]
    """By run id."""
    containments: list[dict[str, Any]]
    lab: dict[str, Any]
    export: Path
    public_key: PublicKey
    lease_run: str

    def show(self, console: Console) -> bool:
        """Print the account, and return whether all is as expected."""
        for title, lines in (
            ("Contained, and in force", self.contained()),
            ("Denied by policy", self.denied()),
            ("Declined by a person", self.declined()),
            ("Released", self.released()),
        ):
            _print_section(console, title, lines or ["nothing"])
        report = verify(self.export, self.public_key)
        title = "Audit trail, verified offline with the public key"
        _print_section(console, title, render_report(report, str(self.export)))
        problems = list(self.problems())
        if report.status != "intact":
            problems.append(f"the audit trail is {report.status}")
        counts = (
            f"{len(self.sent)} alerts, {len(self.runs)} runs, {len(self.decisions)} approvals, "
            f"{len(self.effects())} effects, each applied once"
        )
        _print_section(console, "Result", problems or [f"as expected: {counts}"])
        return not problems

    def contained(self) -> list[str]:
        """Return a line per containment in force."""
        return [
            f"{_target(item)} since {item['created_at'][:19]}"
            for item in self.containments
            if item["state"] == "held"
        ]

    def released(self) -> list[str]:
        """Return a line per lifted containment, with the reason."""
        return [
            f"{_target(item)} ({_reasons(item)})"
            for item in self.containments
            if item["state"] == "lifted"
        ]

    def denied(self) -> list[str]:
        """Return a line per step that the policy denied, with the reason."""
        return [
            f"{run['playbook']} step {step['id']}: {_denial(step)}"
            for run in self.runs
            for step in run["steps"]
            if step["state"] == "refused"
        ]

    def declined(self) -> list[str]:
        """Return a line per run that a person declined."""
        return [
            f"{run['playbook']} run {run['id']}" for run in self.runs if run["status"] == "declined"
        ]

    def effects(self) -> list[dict[str, Any]]:
        """Return what the emulators recorded."""
        return [
            {"emulator": name, **effect}
            for name, state in self.lab.items()
            for effect in state["effects"]
        ]

    def problems(self) -> Iterator[str]:
        """Yield what is not as the script expects."""
        for sent in self.sent:
            yield from self._problems_of(sent)
        for effect in self.effects():
            if effect["count"] != 1:
                yield (
                    f"{effect['emulator']}: {effect['action']} {effect['target']} was applied "
                    f"{effect['count']} times under one key"
                )
        lease = next((run for run in self.runs if run["id"] == self.lease_run), None)
        if lease is None or lease["status"] != "completed":
            yield f"the run started by hand is {lease['status'] if lease else 'missing'}"
        if not self.released():
            yield "no lease ended during the demo"

    def _problems_of(self, sent: SentAlert) -> Iterator[str]:
        line, answer = sent.line, sent.answer
        if line is None:
            if answer.status != _UNAUTHENTICATED:
                yield f"a forged credential was answered with {answer.status}"
            return
        if answer.status not in _ACCEPTED:
            yield f"{line.short}: the webhook answered {answer.status} {answer.body}"
            return
        if answer.attempts == 1 and bool(answer.body.get("duplicate")) != line.duplicate:
            yield f"{line.short}: duplicate is {answer.body.get('duplicate')}"
        if line.duplicate and sent.alert_ids != self._first(line).alert_ids:
            yield f"{line.short}: the duplicate has other ids than the first"
        for alert in sent.alert_ids:
            yield from self._problems_of_alert(line, alert)

    def _problems_of_alert(self, line: ScriptLine, alert: str) -> Iterator[str]:
        runs = [run for run in self.runs if run["alert_id"] == alert]
        if line.triggered is None:
            for run in runs:
                yield f"{line.short}: started {run['playbook']}, expected no run"
            return
        if [run["playbook"] for run in runs] != [line.triggered]:
            started = [run["playbook"] for run in runs]
            yield f"{line.short}: started {started}, expected one run of {line.triggered}"
            return
        run = runs[0]
        if run["status"] != line.status:
            yield (
                f"{line.short}: run {run['id']} is {run['status']} ({run['error']}), "
                f"expected {line.status}"
            )
        asked = run["id"] in self.decisions
        if asked != line.asked and not line.duplicate:
            yield f"{line.short}: approval was {'' if asked else 'not '}requested"
        denied = any(step["state"] == "refused" for step in run["steps"])
        if denied != line.refused:
            yield f"{line.short}: the policy {'denied' if denied else 'allowed'} its changes"

    def _first(self, line: ScriptLine) -> SentAlert:
        return next(sent for sent in self.sent if sent.line and sent.line.file == line.file)


def _target(item: dict[str, Any]) -> str:
    return f"{item['connection']}.{item['action']} {item['target']['value']}"


def _reasons(item: dict[str, Any]) -> str:
    return ", ".join(sorted({lease["end_reason"] or "ended" for lease in item["leases"]}))


def _denial(step: dict[str, Any]) -> str:
    return step["error"] or "; ".join((step["verdict"] or {}).get("reasons", []))


def _print_section(console: Console, title: str, lines: list[str]) -> None:
    console.print(Text(f"\n{title}", style="bold"))
    for line in lines:
        console.print(Text(f"  {line}"))
