"""Lines about a run: its heading, what a step waits for, what a dry run would do."""

from __future__ import annotations

from typing import Any

from orchestrator.cli.tables import format_time


def format_foreseen_change(change: dict[str, Any]) -> str:
    """Return a line about a change, or a form, of a dry run."""
    asked = change["asked"]
    people = (
        f"would ask {_people(asked)} ({_ASKED_BY[asked['source']]}): {asked['question']}"
        if asked
        else "no approval needed"
    )
    if change["action"] is None:
        return f"{change['path']}: {people}"
    if change["verdict"] and change["verdict"]["outcome"] == "deny":
        people = f"denied: {'; '.join(change['verdict']['reasons'])}"
    elif not change["changed"]:
        people = "already in the desired state"
    return (
        f"{change['path']}: {change['connection']}.{change['action']} ({change['effect']}): "
        f"{change['summary']}{_lease(change['hold_seconds'])}; {people}"
    )


def format_waiting(waiting_for: dict[str, Any] | None) -> str:
    """Return what a step waits for, and until when; empty while it does not wait."""
    if waiting_for is None:
        return ""
    end = waiting_for.get("expires_at") or waiting_for.get("retry_at")
    until = format_time(end) if end else "in a few seconds"
    match waiting_for["kind"]:
        case "approval":
            return f"approval {waiting_for['approval_id']}, until {until}"
        case "event":
            return f"an alert with {waiting_for['event']}, until {until}"
        case "retry":
            tries, limit = waiting_for["attempt"] + 1, waiting_for["attempts"]
            tried = f"{tries} of {limit}" if limit else f"{tries}"
            return f"try {tried} at {until}: {waiting_for['error']}"
        case "target" | "kill_switch":
            at = f"at {until}" if end else until
            return f"{waiting_for['reason']}; checked again {at}"
        case _:
            return f"until {until}"


def format_heading(run: dict[str, Any]) -> str:
    """Return the line about the run itself."""
    mode = ", dry run" if run["mode"] == "dry_run" else ""
    if run["shadow_of"]:
        mode = f", shadow of {run['shadow_of']}"
    error = f": {run['error']}" if run.get("error") else ""
    return f"{run['id']}: {run['playbook']} version {run['version']}{mode}, {run['status']}{error}"


def _lease(seconds: int | None) -> str:
    from orchestrator.playbook.language.durations import format_duration

    return f", for {format_duration(seconds)}" if seconds else ""


def _people(asked: dict[str, Any]) -> str:
    group = asked["by"] or "anyone who may approve"
    return group if asked["quorum"] == 1 else f"{asked['quorum']} of {group}"


_ASKED_BY = {
    "step": "by the step",
    "group": "by the group around it",
    "policy": "by the policy",
    "form": "a form",
}
