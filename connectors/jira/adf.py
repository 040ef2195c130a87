"""How text becomes an Atlassian Document: text stays text, so nothing an attacker wrote turns into a link, a mention or markup."""

from __future__ import annotations

import json
from typing import Any

Node = dict[str, Any]

LONGEST = 32_000  # characters of JSON; Jira refuses a text field of more than 32,767
_CUT = "\n... cut here by Tocsin: the rest did not fit into the ticket"
_EXTRA_ROOM = 200


def document(*nodes: Node) -> Node:
    """A whole document."""
    return {"type": "doc", "version": 1, "content": list(nodes)}


def paragraph(text: str) -> Node:
    """A paragraph that shows the text as it is, line by line."""
    content: list[Node] = []
    for number, line in enumerate(printable(text).split("\n")):
        if number:
            content.append({"type": "hardBreak"})
        if line:  # an empty text node is invalid
            content.append({"type": "text", "text": line})
    return {"type": "paragraph", "content": content}


def code_block(text: str, language: str = "json") -> Node:
    """A block that shows the text as it is, in one typeface."""
    shown = printable(text)
    return {
        "type": "codeBlock",
        "attrs": {"language": language},
        "content": [{"type": "text", "text": shown}] if shown else [],
    }


def ticket(description: str, evidence: Any, footer: str) -> Node:
    """The description of a ticket, cut to what Jira takes: the evidence first, then the description."""
    shown = (
        ""
        if evidence is None
        else json.dumps(evidence, indent=2, ensure_ascii=False, sort_keys=True)
    )
    shown = _cut(shown, _excess(_assemble(description, shown, footer)))
    description = _cut(description, _excess(_assemble(description, shown, footer)))
    return _assemble(description, shown, footer)


def comment(text: str) -> Node:
    """The body of a comment, cut to what Jira takes."""
    return document(paragraph(_cut(text, _excess(document(paragraph(text))))))


def printable(text: str) -> str:
    """Without characters that show nothing or turn the direction of the text around; line ends are one kind."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ").split("\n")
    return "\n".join(
        "".join(character if character.isprintable() else "\ufffd" for character in line)
        for line in lines
    )


def one_line(text: str) -> str:
    """The text on one line, for a title."""
    return " ".join(printable(text).split())


def _assemble(description: str, evidence: str, footer: str) -> Node:
    nodes = [paragraph(description)] if description else []
    if evidence:
        nodes.append(code_block(evidence))
    return document(*nodes, paragraph(footer))


def _excess(body: Node) -> int:
    return max(0, len(json.dumps(body)) - LONGEST)


def _cut(text: str, excess: int) -> str:
    """Takes at least `excess` characters off the end; nothing is left of a text that is too short for that."""
    if excess == 0:
        return text
    kept = text[: max(0, len(text) - excess - _EXTRA_ROOM)]
    return kept + _CUT if kept else ""
