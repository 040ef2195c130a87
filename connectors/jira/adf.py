"""Atlassian Documents from plain text: an attacker's text stays text, without links or markup."""

from __future__ import annotations

import json
from typing import Any

Node = dict[str, Any]

LONGEST = 32_000  # characters of JSON; Jira refuses a text field of more than 32,767
_CUT = "\n... truncated by Tocsin: the rest exceeds what Jira accepts"
_EXTRA_ROOM = 200


def document(*nodes: Node) -> Node:
    """Return a whole document."""
    return {"type": "doc", "version": 1, "content": list(nodes)}


def paragraph(text: str) -> Node:
    """Return a paragraph that shows the text literally, line by line."""
    content: list[Node] = []
    for number, line in enumerate(printable(text).split("\n")):
        if number:
            content.append({"type": "hardBreak"})
        if line:  # an empty text node is invalid
            content.append({"type": "text", "text": line})
    return {"type": "paragraph", "content": content}


def code_block(text: str, language: str = "json") -> Node:
    """Return a code block that shows the text literally."""
    shown = printable(text)
    return {
        "type": "codeBlock",
        "attrs": {"language": language},
        "content": [{"type": "text", "text": shown}] if shown else [],
    }


def ticket(description: str, evidence: Any, footer: str) -> Node:
    """Return the description of a ticket, truncated for Jira: evidence first, then description."""
    shown = (
        ""
        if evidence is None
        else json.dumps(evidence, indent=2, ensure_ascii=False, sort_keys=True)
    )
    shown = _cut(shown, _excess(_assemble(description, shown, footer)))
    description = _cut(description, _excess(_assemble(description, shown, footer)))
    return _assemble(description, shown, footer)


def comment(text: str) -> Node:
    """Return the body of a comment, truncated for Jira."""
    return document(paragraph(_cut(text, _excess(document(paragraph(text))))))


def printable(text: str) -> str:
    """Return the text without invisible and direction-changing characters; lines end in LF."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ").split("\n")
    return "\n".join(
        "".join(character if character.isprintable() else "\ufffd" for character in line)
        for line in lines
    )


def one_line(text: str) -> str:
    """Return the text on one line, for a title."""
    return " ".join(printable(text).split())


def _assemble(description: str, evidence: str, footer: str) -> Node:
    nodes = [paragraph(description)] if description else []
    if evidence:
        nodes.append(code_block(evidence))
    return document(*nodes, paragraph(footer))


def _excess(body: Node) -> int:
    return max(0, len(json.dumps(body)) - LONGEST)


def _cut(text: str, excess: int) -> str:
    """Return the text shortened by at least `excess` characters, empty if it is too short."""
    if excess == 0:
        return text
    kept = text[: max(0, len(text) - excess - _EXTRA_ROOM)]
    return kept + _CUT if kept else ""
