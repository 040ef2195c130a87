"""What a person reads of approvals on the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from orchestrator.domain.errors import Invalid

_SEVERITIES = ("unknown", "informational", "low", "medium", "high", "critical", "fatal")


def list_row(approval: dict[str, Any]) -> dict[str, Any]:
    """Return the cells of an approval in a list."""
    alone = approval["break_glass"]
    targets = [each["target"]["value"] for each in approval["planned_changes"]]
    created = datetime.fromisoformat(approval["created_at"])
    return {
        **approval,
        "age": _age((datetime.now(UTC) - created).total_seconds()),
        "severity": _SEVERITIES[approval["severity"]] if approval["alert"] else None,
        "targets": targets[:3] + ([f"{len(targets) - 3} more"] if len(targets) > 3 else []),
        "progress": _progress(approval),
        "by": [each["person"] for each in approval["decisions"]],
        "review": alone["review"] if alone else None,
    }


def render_approval(approval: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that a person reads before deciding. Raise Invalid for an older API's."""
    from pydantic import ValidationError

    from orchestrator.briefing.approval import ApprovalView
    from orchestrator.briefing.plain_text import quoted_lines
    from orchestrator.briefing.text import approval_text, format_time

    try:
        view = ApprovalView.model_validate(approval, extra="ignore")
    except ValidationError as error:
        missing = ", ".join(".".join(map(str, each["loc"])) for each in error.errors())
        raise Invalid(
            f"approval {approval['id']}: the API is of another version than this command, and not "
            f"readable in its answer is {missing}; decide with the `tocsin` of its version"
        ) from None
    text = approval_text(view)
    replaced = f", replaced by {approval['replaced_by']}" if approval["replaced_by"] else ""
    yield f"{approval['id']}: {approval['state']}{replaced}"
    yield from (f"  {line}" for line in quoted_lines(text.question).split("\n"))
    yield (
        f"  {approval['playbook']} version {approval['version']}, step {approval['path']}, "
        f"run {approval['run_id']}, expires {format_time(text.expires_at)}"
    )
    for change in text.changes:
        yield f"  {change.effect}  {change.action}  {change.target}"
        yield f"    {change.summary}"
        yield from _rows(change.rows, "    ")
        yield f"    change {change.digest}"
    yield from _fields(text.form or {})
    for section in text.sections:
        yield f"  {section.title}"
        yield from _rows(section.rows, "    ")
    yield f"  digest {approval['digest']}"


def render_batch(approvals: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of several approvals: once what all of them say, then what differs."""
    each = [list(render_approval(approval)) for approval in approvals]
    same = set(each[0]).intersection(*each[1:]) if len(each) > 1 else set[str]()
    if same:
        yield f"all {len(each)} approvals"
        yield from (line for line in dict.fromkeys(each[0]) if line in same)
    for lines in each:
        yield from (line for line in lines if line not in same)


def outcome(approval: dict[str, Any]) -> str:
    """Return what became of an approval."""
    progress = f", {_progress(approval)} approvals" if approval["state"] == "pending" else ""
    return f"approval {approval['id']}: {approval['state']}{progress}"


def _fields(form: dict[str, Any]) -> Iterator[str]:
    """Yield the fields of a form, as `--field` takes them."""
    if form:
        yield "  Fields"
    for name, field in form.items():
        values = {"boolean": "true|false", "choice": "|".join(field["choices"])}
        value = values.get(field["type"], field["type"].upper())
        optional = "" if field["required"] else " (optional)"
        given = name if field["type"] == "secret" else f"{name}={value}"
        yield f"    --field {given}  {field['label']}{optional}"


def _rows(rows: Sequence[Any], indent: str) -> Iterator[str]:
    return (f"{indent}{row.label}: {row.value}" for row in rows)


def _progress(approval: dict[str, Any]) -> str:
    return f"{approval['approvals']} of {approval['quorum']}"


def _age(seconds: float) -> str:
    for size, letter in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{letter}"
    return f"{max(0, int(seconds))}s"
