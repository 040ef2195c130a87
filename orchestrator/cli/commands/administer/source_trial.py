"""A trial of a payload as lines: the alerts, what they leave out, and what they would start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_FACTS = (
    ("host", ("name", "address", "id")),
    ("user", ("name", "email")),
    ("remote", ("address", "domain")),
    ("local", ("address",)),
    ("file", ("path", "name", "sha256")),
    ("process", ("name", "command_line")),
)


def describe_trial(file: str, trial: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of one payload."""
    if trial["ignored"] is not None:
        yield f"{file}: no alert: {trial['ignored']}"
        return
    yield f"{file}: {trial['total']} alerts, {len(trial['rejected'])} items that cannot be read"
    for item in trial["rejected"]:
        yield f"  item {item['index']}: {item['reason']}"
    for each in trial["alerts"]:
        yield from _describe_alert(each)


def _describe_alert(each: dict[str, Any]) -> Iterator[str]:
    alert = each["alert"]
    known = " (known already: a duplicate)" if each["duplicate"] else ""
    yield f"  {alert['title']}{known}"
    yield f"    class {alert['class']}, severity {alert['severity_name']}, time {alert['time']}"
    for name, fields in _FACTS:
        facts = [str(alert[name][field]) for field in fields if alert[name] and alert[name][field]]
        if facts:
            yield f"    {name}: {', '.join(facts)}"
    yield f"    observables: {len(alert['observables'])}"
    if each["missing"]:
        yield f"    not filled: {', '.join(each['missing'])}"
    for omission in each["incomplete"]:
        yield f"    left out: {omission['field']}: {omission['message']}"
    matched = [
        f"{match['playbook']}@{match['version']} (once per {match['key']!r})"
        + (" as a shadow" if match["shadow"] else "")
        for match in each["matched"]
    ]
    yield f"    starts: {', '.join(matched) or 'no playbook'}"
    for playbook, error in each["triggers_failed"].items():
        yield f"    trigger of {playbook} fails: {error}"
