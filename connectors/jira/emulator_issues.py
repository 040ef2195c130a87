"""The issues of the emulated Jira project: fields, comments, workflow, and what search knows."""

from __future__ import annotations

from typing import Any

PROJECT = "SOC"
SEARCH_LAG = 20
"""The number of searches after which a search finds a new issue."""
TRANSITIONS = {
    "11": ("Start work", "In Progress"),
    "31": ("Resolve", "Done"),
    "41": ("Reopen", "To Do"),
}
OPEN_TRANSITIONS = {"To Do": ("11", "31"), "In Progress": ("31",), "Done": ("41",)}
_STATUSES = {"To Do": "new", "In Progress": "indeterminate", "Done": "done"}
_ISSUE_TYPES = {"Task", "Incident", "Bug"}
_PRIORITIES = {"Lowest", "Low", "Medium", "High", "Highest"}
_LONGEST_SUMMARY = 255


class EmulatedIssues:
    """The issues of one project by key. Search finds an issue after `SEARCH_LAG` searches."""

    def __init__(self) -> None:
        self.by_key: dict[str, dict[str, Any]] = {}
        self.searches = 0
        self.last_number = 0
        self.last_id = 10_000

    def add(self, fields: dict[str, Any], properties: list[Any]) -> str:
        """Add an issue that search does not find yet, and return its key."""
        self.last_number += 1
        key = f"{PROJECT}-{self.last_number}"
        self.by_key[key] = {
            "id": self.next_id(),
            "fields": fields,
            "status": "To Do",
            "properties": properties,
            "comments": [],
            "found_from": self.searches + SEARCH_LAG,
        }
        return key

    def next_id(self) -> str:
        """Return a new id of an issue or a comment."""
        self.last_id += 1
        return str(self.last_id)

    def search(self) -> list[str]:
        """Count a search and return the keys of the issues that it can find."""
        self.searches += 1
        return [key for key, issue in self.by_key.items() if issue["found_from"] <= self.searches]

    def view(self, key: str, names: list[str]) -> dict[str, Any]:
        """Return an issue with the named fields, as the API does."""
        issue = self.by_key[key]
        fields = {
            **issue["fields"],
            "labels": issue["fields"].get("labels", []),
            "status": status_view(issue["status"]),
        }
        shown = {name: fields[name] for name in names if name in fields}
        return {"id": issue["id"], "key": key, "fields": shown}

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON."""
        return {
            "issues": _copy(self.by_key),
            "searches": self.searches,
            "last_number": self.last_number,
            "last_id": self.last_id,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Replace the state with what `dump` returned."""
        self.by_key, self.searches = _copy(state["issues"]), state["searches"]
        self.last_number, self.last_id = state["last_number"], state["last_id"]


def status_view(name: str) -> dict[str, Any]:
    """Return a status with its category, as the API does."""
    return {"name": name, "statusCategory": {"key": _STATUSES[name]}}


def field_errors(fields: dict[str, Any]) -> dict[str, str]:
    """Return the errors that Jira answers for the fields of a new issue, by field."""
    summary, priority = fields.get("summary", ""), fields.get("priority", {}).get("name", "Medium")
    checks = {
        "project": fields.get("project", {}).get("key") == PROJECT,
        "issuetype": fields.get("issuetype", {}).get("name") in _ISSUE_TYPES,
        "summary": 0 < len(summary.encode("utf-16-le")) // 2 <= _LONGEST_SUMMARY
        and "\n" not in summary,
        "description": "description" not in fields or is_document(fields["description"]),
        "labels": not any(" " in label for label in fields.get("labels", [])),
        "priority": priority in _PRIORITIES,
    }
    return {name: f"{name} is not valid" for name, valid in checks.items() if not valid}


def is_document(node: Any) -> bool:
    """Return whether Jira accepts the Atlassian Document. It refuses empty text nodes."""
    return (
        isinstance(node, dict)
        and node.get("type") == "doc"
        and node.get("version") == 1
        and _is_valid(node)
    )


def text_of(node: Any) -> str:
    """Return the text of a document, one line per paragraph and break."""
    if node.get("type") in {"text", "hardBreak"}:
        return str(node.get("text", "\n"))
    separator = "\n" if node.get("type") == "doc" else ""
    return separator.join(text_of(child) for child in node.get("content", []))


def _is_valid(node: dict[str, Any]) -> bool:
    if node.get("type") == "text":
        return bool(node.get("text"))
    return all(_is_valid(child) for child in node.get("content", []))


def _copy(issues: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {key: {**issue, "comments": list(issue["comments"])} for key, issue in issues.items()}
